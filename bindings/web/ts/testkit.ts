// A world for the tests of an app: devices and a region in memory, in a time that the test moves.
//
// The devices are the client of production on SQLite, and the region decides by the rules of
// production. There is no worker, no socket and no server: a file for `node --test` is enough. Time
// stands still until `settle` or `advance`. Each call of a client is followed by all that it sets
// going without time passing; listeners hear of it in the microtasks after that.

import init, { TestWorld, type TestDevice } from "../wasm-testkit/landfall_web.js";
import { Landfall, Transaction } from "./index.js";
import type { ToPage, ToWorker } from "./messages.js";
import { Owner } from "./owner.js";
import type { Published } from "./transaction.js";
import { LandfallError, type AnyTables, type Edit, type OpenOptions, type SqlValue } from "./values.js";

export { Landfall, LandfallError, Transaction };

/** How a world is made. */
export interface WorldOptions {
  /** The app's schema, as GraphQL SDL. */
  schema: string;
  /** Where ids and the length of backoffs come from; 0 unless given. */
  seed?: number;
}

/** What a device waits for. All but `unfinished` end only when the test does something. */
export type Reason = "offline" | "switchedOff" | "regionStopped" | "tokenExpired" | "unfinished";

/** A device that has something left to do. */
export interface Waiting {
  /** The account and the device's own name: `ann/phone`. */
  device: string;
  reason: Reason;
  /** Writes in its outbox. */
  unsent: number;
  /** Scopes that are not wholly here. */
  scopes: string[];
}

/** Why a region refuses a write. */
export interface Refusal {
  /** The region's word for it: one that regions give (`not_allowed`), or one of the app's own
   * backend, which arrives as the code LF4000. */
  reason: string;
  /** The field that is to blame. */
  field?: string;
  /** For people. */
  detail?: string;
}

/** A world with one region. */
export class Testkit<T = AnyTables> {
  readonly #world: TestWorld;
  readonly #devices = new Map<string, Device<T>>();
  /** The one region. */
  readonly region: Region<T>;

  private constructor(world: TestWorld) {
    this.#world = world;
    this.region = new Region<T>(world);
  }

  /** A world for an app's schema. Fails with `LF2101` if the schema has faults. */
  static async open<T = AnyTables>({ schema, seed = 0 }: WorldOptions): Promise<Testkit<T>> {
    await load();
    return new Testkit<T>(calling(() => TestWorld.open(schema, seed)));
  }

  /** A device of an account, online; made if there is none. It reads and writes everything unless
   * `allow` says otherwise. */
  device(account: string, name = "phone"): Device<T> {
    const known = this.#devices.get(`${account}/${name}`);
    if (known !== undefined) {
      return known;
    }
    const made = new Device<T>(this.#world, calling(() => this.#world.device(account, name)));
    this.#devices.set(made.name, made);
    return made;
  }

  /** Run until every outbox is empty and every subscription heard to its end, or waits for something
   * that the test took away: those are the answer. Fails with `LF8001` if something is still under
   * way after two minutes of the world's time. When the promise is kept, listeners have heard of
   * it. */
  async settle(): Promise<Waiting[]> {
    const waiting = calling(() => this.#world.settle()) as Waiting[];
    await microtasks();
    return waiting;
  }

  /** Let so many milliseconds pass, and everything happen that they bring. */
  async advance(ms: number): Promise<void> {
    calling(() => this.#world.advance(ms));
    await microtasks();
  }

  /** Time of the world, in milliseconds since 1970. */
  get nowMs(): number {
    return this.#world.nowMs();
  }

  /** From now on an account may do this and nothing else. What it may not see leaves its devices. */
  allow(account: string, rights: { scopes?: string[]; audiences?: string[] }): void {
    calling(() => this.#world.allow(account, rights.scopes ?? [], rights.audiences ?? []));
  }

  /** An account may also read and write this home scope. */
  grant(account: string, scope: string): void {
    calling(() => this.#world.grant(account, scope));
  }

  /** An account may no longer see this scope. `LF8004` if it has the right under a wider name. */
  revoke(account: string, scope: string): void {
    calling(() => this.#world.revoke(account, scope));
  }

  /** Another device, far away, writes, and the region has it when this returns, unless it is down. It
   * publishes `@shared` types, too. */
  writeAsOthers(write: (transaction: Transaction<Published<T>>) => void): void {
    let edits: Edit[] = [];
    const transaction = new Transaction<Published<T>>((all) => {
      edits = all;
      return Promise.resolve({ dots: [], keys: [] });
    });
    write(transaction);
    void transaction.commit();
    calling(() => this.#world.writeAsOthers(edits));
  }

  /** The world ends, and its devices with it; their clients are closed. */
  end(): void {
    this.#world.end();
  }
}

/** A device of a world. */
export class Device<T = AnyTables> {
  readonly #world: TestWorld;
  readonly #device: TestDevice;
  #app: Landfall<T>;
  /** The account and the device's own name: `ann/phone`. */
  readonly name: string;

  /** @internal Use {@link Testkit.device}. */
  constructor(world: TestWorld, device: TestDevice) {
    this.#world = world;
    this.#device = device;
    this.name = device.name();
    this.#app = over(world, device.client());
  }

  /** The app's client; another one after `restart`. */
  get app(): Landfall<T> {
    return this.#app;
  }

  /** The network goes, and with it what is on its way. The app is not told. */
  offline(): void {
    calling(() => this.#device.offline());
  }

  /** The network is back. The client finds it at its next attempt, which `settle` waits for. */
  online(): void {
    calling(() => this.#device.online());
  }

  /** The app's process is killed and started again: nothing is closed, and the file stays as it is.
   * The dead process has the lease on syncing for five seconds more. */
  restart(): Landfall<T> {
    this.#app = over(this.#world, calling(() => this.#device.restart()));
    return this.#app;
  }

  /** The account's token has expired, and the app cannot get another one: the user is signed out. */
  expireToken(): void {
    calling(() => this.#device.expireToken());
  }

  /** The app gets a good token again. */
  renewToken(): void {
    calling(() => this.#device.renewToken());
  }
}

/** The region of a world. */
export class Region<T = AnyTables> {
  readonly #world: TestWorld;

  /** @internal Use {@link Testkit.region}. */
  constructor(world: TestWorld) {
    this.#world = world;
  }

  /** Refuse the next write to an entity of this type (and this id), with its whole transaction. */
  rejectNext(type: Extract<keyof T, string>, refusal: Refusal & { id?: string }): void {
    const { id, reason, field, detail = "" } = refusal;
    calling(() => this.#world.rejectNext(type, id, reason, field, detail));
  }

  /** Refuse this write, with its whole transaction. */
  reject(dot: string, { reason, field, detail = "" }: Refusal): void {
    calling(() => this.#world.rejectWrite(dot, reason, field, detail));
  }

  /** From now on a frame takes so many milliseconds, one way. 2000 and more are as good as no
   * network. */
  delay(oneWayMs: number): void {
    calling(() => this.#world.delayRegion(oneWayMs));
  }

  /** The region's process dies; its store stays. */
  stop(): void {
    calling(() => this.#world.stopRegion());
  }

  /** The region is there again. */
  start(): void {
    calling(() => this.#world.startRegion());
  }

  /** What the region holds of a type, with the columns of a device's table. */
  rows<Row = Record<string, SqlValue>>(type: Extract<keyof T, string>): Row[] {
    return calling(() => this.#world.rows(type)) as Row[];
  }
}

type WebClient = ReturnType<TestDevice["client"]>;

/** A client as apps have it, without a worker between it and the file. */
function over<T>(world: TestWorld, client: WebClient): Landfall<T> {
  const nobody = { token: "" } as OpenOptions;
  return new Landfall<T>(new Port(world, client) as unknown as Worker, nobody);
}

/** What {@link Landfall} knows of a worker. */
class Port {
  readonly #world: TestWorld;
  readonly #owner: Owner;
  onmessage: (message: { data: ToPage }) => void = () => {};

  constructor(world: TestWorld, client: WebClient) {
    this.#world = world;
    this.#owner = new Owner(client, {
      tell: (_, news) => this.onmessage({ data: { news } }),
      goal: () => {},
    });
  }

  postMessage(message: ToWorker): void {
    if (!("call" in message)) {
      return;
    }
    const { call } = message;
    const answer =
      call.method === "close"
        ? this.#owner.close().then(() => ({ id: call.id, value: undefined }))
        : this.#owner.call(TAB, call);
    void answer.then((answer) => this.onmessage({ data: { answer } }));
    this.#world.runReady();
  }

  terminate(): void {}
}

/** There is one. */
const TAB = "test";

/** Failures leave typed. */
function calling<R>(work: () => R): R {
  try {
    return work();
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    throw code === undefined ? error : new LandfallError(code, message);
  }
}

/** When all of them have run. */
function microtasks(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (done: () => void) => void };
  return new Promise((done) => (setImmediate ?? setTimeout)(done));
}

let loading: Promise<unknown> | null = null;

/** The module is a file beside this one; node does not fetch files. */
function load(): Promise<unknown> {
  loading ??= (async () => {
    const { process } = globalThis as { process?: { versions?: { node?: string } } };
    if (process?.versions?.node === undefined) {
      return init();
    }
    const files = "node:fs/promises";
    const { readFile } = (await import(files)) as { readFile(path: URL): Promise<Uint8Array> };
    const path = new URL("../wasm-testkit/landfall_web_bg.wasm", import.meta.url);
    return init({ module_or_path: await readFile(path) });
  })();
  return loading;
}
