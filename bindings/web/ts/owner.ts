// The owner's side: the open file, and the calls of all tabs on it.

import type { WebClient } from "../wasm/landfall_web.js";
import type { Answer, Call, Change, Goal, News } from "./messages.js";
import type { Conditions, Edit, Event, Parameter, Query, SearchQuery } from "./values.js";

/** How the owner reaches the tabs. */
export interface Tabs {
  /** `to` is a tab, or all of them. */
  tell(to: string | null, news: News): void;
  /** An app went online or offline, or said what the network is like; the next owner begins with
   * that. */
  goal(change: Partial<Goal>): void;
}

/** The file's lock can be free a moment before the browser has closed the file of its last owner. */
const OPEN_TRIES = 40;
const OPEN_PAUSE_MS = 100;

/** The code for a browser that gives no files, or has not let go of them. */
export const NO_STORAGE = "LF2201";
const EDITOR_GONE = "LF2311";
/** The code for a client that is at its end. */
const CLOSED = "LF2104";

/** A panic leaves the client's memory in the midst of something: nothing may be asked of it any more,
 * and it holds the file. Thrown where nobody catches it, it is an error of the worker, which the page
 * hears of and ends; so are those of calls that are promises. False for any other error. */
export function isPanic(error: unknown): boolean {
  if (!(error instanceof WebAssembly.RuntimeError)) {
    return false;
  }
  // Not before what was answered until now has left.
  setTimeout(() => {
    throw error;
  });
  return true;
}

/** Do what needs the file, again as long as the browser has not let go of it. */
export async function patiently<R>(work: () => Promise<R>): Promise<R> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await work();
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (code !== NO_STORAGE || tried === OPEN_TRIES) {
        throw { code: code ?? "LF2105", message };
      }
      await new Promise((resolve) => setTimeout(resolve, OPEN_PAUSE_MS));
    }
  }
}

/** The only one that has the file open. */
export class Owner {
  readonly #client: WebClient;
  readonly #tabs: Tabs;
  /** Live queries: the client's number by tab and the tab's own number. */
  readonly #watches = new Map<string, Map<number, number>>();
  /** Editors of texts: the client's number by tab and the tab's own number. */
  readonly #texts = new Map<string, Map<number, number>>();
  /** What is waited for: the client's number by tab and call. */
  readonly #waits = new Map<string, number>();
  #lastWait = 0;
  readonly #lastCall = new Map<string, number>();
  readonly #followed = new Set<string>();
  #broken = false;

  static async open(options: object, tabs: Tabs, conditions: Conditions): Promise<Owner> {
    // Not before it is needed: the testkit brings a module of its own.
    const { default: init, WebClient } = await import("../wasm/landfall_web.js");
    await init();
    const client = await patiently(() => WebClient.open(options));
    client.setConditions(conditions);
    return new Owner(client, tabs);
  }

  constructor(client: WebClient, tabs: Tabs) {
    this.#client = client;
    this.#tabs = tabs;
    client.events((event: Event) => tabs.tell(null, { event }));
  }

  /** False for a call that was heard before: an owner that has just begun is told twice. */
  isNew(tab: string, id: number): boolean {
    if (id < 0) {
      return true;
    }
    const last = this.#lastCall.get(tab) ?? 0;
    this.#lastCall.set(tab, Math.max(last, id));
    return id > last;
  }

  /** Forget a tab when its lock is free: it is gone. */
  follow(tab: string, lock: string): void {
    if (!this.#followed.has(tab)) {
      this.#followed.add(tab);
      void navigator.locks.request(lock, () => this.#gone(tab));
    }
  }

  async call(tab: string, { id, method, args }: Call): Promise<Answer> {
    if (this.#broken) {
      // The worker is about to end, and the next owner is asked.
      return new Promise(() => {});
    }
    try {
      return { id, value: await this.#run(tab, id, method, args) };
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (isPanic(error)) {
        this.#broken = true;
        // The one call that is answered: made again, it would end the next owner, too.
        return { id, error: { code: CLOSED, message: `The client broke: ${message}` } };
      }
      return { id, error: { code: code ?? "LF2105", message } };
    }
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  #run(tab: string, id: number, method: string, args: unknown[]): unknown {
    const client = this.#client;
    const text = args[0] as string;
    switch (method) {
      case "commit":
        return client.commit(args[0] as Edit[], `${tab}:${id}`);
      case "query":
        return client.query(text, args[1] as Parameter[]);
      case "search":
        return client.search(args[0] as SearchQuery);
      case "explainWatch":
        return this.#explainWatch(tab, args[0] as number);
      case "text":
        return this.#text(tab, args[0] as number, args[1] as string, args[2] as string, args[3] as string);
      case "textSplice":
        return client.textSplice(
          this.#textOf(tab, args[0] as number), args[1] as number, args[2] as number, args[3] as string);
      case "textPull":
        return client.textPull(this.#textOf(tab, args[0] as number));
      case "textCommit":
        return client.textCommit(this.#textOf(tab, args[0] as number));
      case "textClose":
        return this.#closeText(tab, args[0] as number);
      case "watch":
        return this.#watch(tab, args[0] as number, args[1] as Query | SearchQuery);
      case "unwatch":
        return this.#unwatch(tab, args[0] as number);
      case "fate":
        return client.fate(text);
      case "outcomes":
        return client.outcomes();
      case "dismiss":
        return client.dismiss(text);
      case "resubmit":
        return client.resubmit(text);
      case "cancel":
        return client.cancel(text);
      case "restore":
        return client.restore(text, args[1] as string, args[2] as string);
      case "explain":
        return client.explain(text, args[1] as string, args[2] as string | undefined);
      case "supportBundle":
        return client.supportBundle();
      case "takeIn":
        return client.takeIn(args[0] as Uint8Array);
      case "outboxStatus":
        return client.outboxStatus();
      case "get":
        return client.get(text, args[1] as string);
      case "subscribe":
        return client.subscribe(text, args[1]);
      case "refill":
        return client.refill(text);
      case "pin":
        return client.pin(text, args[1] as string, args[2] as string);
      case "unpin":
        return client.unpin(text, args[1] as string, args[2] as string);
      case "granted":
        return client.granted();
      case "account":
        return client.account();
      case "unsubscribe":
        return client.unsubscribe(text);
      case "subscriptions":
        return client.subscriptions();
      case "connection":
        return client.connection();
      case "goOffline":
        this.#tabs.goal({ online: false });
        return client.goOffline();
      case "goOnline":
        this.#tabs.goal({ online: true });
        return client.goOnline();
      case "setConditions":
        this.#tabs.goal({ conditions: args[0] as Conditions });
        return client.setConditions(args[0]);
      case "networkChanged":
        return client.networkChanged();
      case "settle":
        return this.#wait(tab, id, (wait) => client.settle(args[0] as number, wait));
      case "drain":
        return this.#wait(tab, id, (wait) => client.drain(args[0] as number, wait));
      case "syncOnce":
        return this.#wait(tab, id, (wait) => client.syncOnce(args[0], wait));
      case "giveUp":
        return this.#giveUp(tab, args[0] as number);
      case "digest":
        return client.digest();
      default:
        throw { code: "LF2111", message: `There is no call of the name ${method}.` };
    }
  }

  /** Wait for something that can be given up. */
  async #wait(tab: string, id: number, begin: (wait: number) => Promise<unknown>): Promise<unknown> {
    const wait = ++this.#lastWait;
    this.#waits.set(`${tab}:${id}`, wait);
    try {
      return await begin(wait);
    } finally {
      this.#waits.delete(`${tab}:${id}`);
    }
  }

  #giveUp(tab: string, id: number): void {
    const wait = this.#waits.get(`${tab}:${id}`);
    if (wait !== undefined) {
      this.#client.giveUp(wait);
    }
  }

  #watch(tab: string, watch: number, query: Query | SearchQuery): void {
    let first = true;
    const listener = (update: Change | null, error?: { code: string; message: string }) => {
      if (update !== null) {
        this.#tabs.tell(tab, { watch, update, first });
        first = false;
      } else if (error !== undefined) {
        this.#tabs.tell(tab, { watch, error: { code: error.code, message: error.message } });
        // The tab has nothing left to stop.
        this.#unwatch(tab, watch);
      }
    };
    const number = this.#client.watch(query, listener);
    const watches = this.#watches.get(tab) ?? new Map<number, number>();
    this.#watches.set(tab, watches.set(watch, number));
  }

  #unwatch(tab: string, watch: number): void {
    const number = this.#watches.get(tab)?.get(watch);
    if (number !== undefined) {
      this.#client.unwatch(number);
      this.#watches.get(tab)?.delete(watch);
    }
  }

  #explainWatch(tab: string, watch: number): Promise<unknown> {
    const number = this.#watches.get(tab)?.get(watch);
    if (number === undefined) {
      throw { code: "LF2104", message: "The live query has ended." };
    }
    return this.#client.explainWatch(number);
  }

  /** An editor for a tab, and the text as it shows it. */
  #text(tab: string, editor: number, type: string, id: string, field: string): string {
    const number = this.#client.text(type, id, field);
    const texts = this.#texts.get(tab) ?? new Map<number, number>();
    this.#texts.set(tab, texts.set(editor, number));
    return this.#client.textValue(number);
  }

  #textOf(tab: string, editor: number): number {
    const number = this.#texts.get(tab)?.get(editor);
    if (number === undefined) {
      const message = "The editor was closed, or went with the tab that had the file. Open another.";
      throw { code: EDITOR_GONE, message };
    }
    return number;
  }

  #closeText(tab: string, editor: number): void {
    const number = this.#texts.get(tab)?.get(editor);
    if (number !== undefined) {
      this.#client.textClose(number);
      this.#texts.get(tab)?.delete(editor);
    }
  }

  #gone(tab: string): void {
    [...(this.#texts.get(tab)?.keys() ?? [])].forEach((editor) => this.#closeText(tab, editor));
    this.#texts.delete(tab);
    [...(this.#watches.get(tab)?.keys() ?? [])].forEach((watch) => this.#unwatch(tab, watch));
    this.#watches.delete(tab);
    const waits = [...this.#waits.keys()].filter((call) => call.startsWith(`${tab}:`));
    waits.forEach((call) => this.#giveUp(tab, Number(call.slice(tab.length + 1))));
    this.#lastCall.delete(tab);
    this.#followed.delete(tab);
  }
}
