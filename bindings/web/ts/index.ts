// The client as a page has it. The file and the connection are in a worker; every call is a
// promise of its answer.

import type { Answer, News, ToPage, ToWorker } from "./messages.js";
import { apply } from "./rows.js";
import { Stream, type Source } from "./stream.js";
import {
  LandfallError,
  type Account,
  type AnyTables,
  type Connection,
  type Edit,
  type Event,
  type Fate,
  type FieldValue,
  type Granted,
  type OpenOptions,
  type Outcome,
  type OutboxStatus,
  type Parameter,
  type Progress,
  type Query,
  type Receipt,
  type SqlValue,
  type SyncLimits,
  type SyncReport,
  type Terms,
  type TokenReason,
  type Update,
  type Waiting,
} from "./values.js";

export * from "./values.js";
export { Accounts, type AccountsOptions, type SignOut } from "./accounts.js";
export { apply } from "./rows.js";

type Name<T> = Extract<keyof T, string>;

/** A step of a write. */
type Step = Extract<Event, { kind: "fate" }>;

/** Open an account's file in this browser, or make it, and begin to sync. */
export async function open<T = AnyTables>(options: OpenOptions): Promise<Landfall<T>> {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const client = new Landfall<T>(worker, options);
  try {
    await client.connection();
    return client;
  } catch (error) {
    worker.terminate();
    throw error;
  }
}

interface Asked {
  resolve: (value: unknown) => void;
  reject: (error: LandfallError) => void;
}

/** One account's file. All tabs of a browser share it. */
export class Landfall<T = AnyTables> {
  readonly #worker: Worker;
  readonly #token: OpenOptions["token"];
  readonly #waiting = new Map<number, Asked>();
  readonly #watches = new Map<number, (news: News) => void>();
  readonly #listeners = new Set<(event: Event) => void>();
  readonly #streams = new Set<{ end(): void }>();
  #lastCall = 0;
  #lastWatch = 0;
  /** Why nothing more is answered. */
  #ended: LandfallError | null = null;

  /** @internal Use {@link open}. */
  constructor(worker: Worker, options: OpenOptions) {
    this.#worker = worker;
    this.#token = options.token;
    worker.onmessage = (message: MessageEvent<ToPage>) => this.#heard(message.data);
    worker.onerror = (error) => this.#broken(error.message);
    const token = typeof options.token === "string" ? options.token : null;
    this.#send({ open: { ...options, token } });
  }

  // ---- writing ----

  /** Gather edits, to be written together by `commit`. */
  transaction(): Transaction<T> {
    return new Transaction((edits) => this.#call("commit", edits));
  }

  /** Create the entity, or change the given fields of the one that is there. */
  upsert<K extends Name<T>>(type: K, id: string, fields: Partial<Put<T, K>>): Promise<Receipt> {
    return this.transaction().upsert(type, id, fields).commit();
  }

  /** Change the given fields of an entity that is there. */
  update<K extends Name<T>>(type: K, id: string, fields: Partial<Put<T, K>>): Promise<Receipt> {
    return this.transaction().update(type, id, fields).commit();
  }

  /** Delete an entity that is there. */
  delete(type: Name<T>, id: string): Promise<Receipt> {
    return this.transaction().delete(type, id).commit();
  }

  // ---- reading ----

  /** The rows of a statement that reads. */
  query<Row = Record<string, SqlValue>>(sql: string, params: Parameter[] = []): Promise<Row[]> {
    return this.#call("query", sql, params);
  }

  /** An entity's row; `null` if this device has none, which does not mean that there is none. */
  get<K extends Name<T>>(type: K, id: string): Promise<RowOf<T, K> | null> {
    return this.#call("get", type, id);
  }

  /** The rows of a query, now and whenever they change. A slow loop sees the newest. */
  observe<Row = Record<string, SqlValue>>(query: Query, waiting?: Waiting): AsyncIterableIterator<Row[]>;
  /** Follow a query. The listener is called with its rows at once, and with what changed from
   * then on, until `stop`; `failed` is called at most once, instead of all further updates. */
  observe<Row = Record<string, SqlValue>>(
    query: Query,
    listener: (update: Update<Row>) => void,
    failed?: (error: LandfallError) => void,
  ): { stop(): void };
  observe<Row>(
    query: Query,
    how: Waiting | ((update: Update<Row>) => void) = {},
    failed: (error: LandfallError) => void = () => {},
  ): AsyncIterableIterator<Row[]> | { stop(): void } {
    if (typeof how === "function") {
      return { stop: this.#follow(query, how, failed) };
    }
    return this.#stream<Row[]>(true, how, (stream) =>
      this.#follow<Row>(query, (update) => stream.push(update.rows), (error) => stream.fail(error)));
  }

  /** The same with what changed and what is on this device. Each update comes, in turn. */
  observeChanges<Row = Record<string, SqlValue>>(
    query: Query, waiting: Waiting = {},
  ): AsyncIterableIterator<Update<Row>> {
    return this.#stream<Update<Row>>(false, waiting, (stream) =>
      this.#follow<Row>(query, (update) => stream.push(update), (error) => stream.fail(error)));
  }

  // ---- what becomes of writes ----

  /** Where a write of this device stands. */
  fate(dot: string): Promise<Fate> {
    return this.#call("fate", dot);
  }

  /** Every step of every own write, from the first step of the loop on. */
  fates(waiting?: Waiting): AsyncIterableIterator<Step>;
  /** Every step of every own write from now on; the answer ends it. */
  fates(listener: (dot: string, fate: Fate, type: string, id: string) => void): () => void;
  fates(
    how: Waiting | ((dot: string, fate: Fate, type: string, id: string) => void) = {},
  ): AsyncIterableIterator<Step> | (() => void) {
    const follow = (listener: (step: Step) => void) =>
      this.#listen((event) => event.kind === "fate" && listener(event));
    if (typeof how === "function") {
      return follow(({ dot, fate, key }) => how(dot, fate, key.type, key.id));
    }
    return this.#stream<Step>(false, how, (stream) => follow((step) => stream.push(step)));
  }

  /** Everything that happens, from the first step of the loop on. */
  events(waiting?: Waiting): AsyncIterableIterator<Event>;
  /** Everything that happens from now on; the answer ends it. */
  events(listener: (event: Event) => void): () => void;
  events(how: Waiting | ((event: Event) => void) = {}): AsyncIterableIterator<Event> | (() => void) {
    if (typeof how === "function") {
      return this.#listen(how);
    }
    return this.#stream<Event>(false, how, (stream) => this.#listen((event) => stream.push(event)));
  }

  /** Refused, overwritten and otherwise unlucky writes, oldest first, until they are dismissed. */
  outcomes(): Promise<Outcome[]> {
    return this.#call("outcomes");
  }

  /** The app has dealt with the outcomes of a write. */
  dismiss(dot: string): Promise<void> {
    return this.#call("dismiss", dot);
  }

  /** Make a refused transaction anew. */
  resubmit(dot: string): Promise<Receipt> {
    return this.#call("resubmit", dot);
  }

  /** The outbox in numbers. */
  outboxStatus(): Promise<OutboxStatus> {
    return this.#call("outboxStatus");
  }

  // ---- subscriptions ----

  /** Hold a scope's rows on this device from now on, across restarts; or, by its terms, a part of
   * them. Wider terms than before read the scope anew; narrower ones let go of rows, soon. */
  subscribe(scope: string, terms: Terms = {}): Promise<void> {
    return this.#call("subscribe", scope, terms);
  }

  /** Ask anew for all that a subscription may hold, after rows were left out or evicted. */
  refill(scope: string): Promise<void> {
    return this.#call("refill", scope);
  }

  /** Keep a row whatever its age and however little room there is, and fetch it if it is not here.
   * `home` is its home scope. */
  pin(type: Name<T>, home: string, id: string): Promise<void> {
    return this.#call("pin", type, home, id);
  }

  /** Keep a row no longer than others. */
  unpin(type: Name<T>, home: string, id: string): Promise<void> {
    return this.#call("unpin", type, home, id);
  }

  /** What the account may subscribe, as the last region said; `null` before one has. */
  granted(): Promise<Granted | null> {
    return this.#call("granted");
  }

  /** Let go of a scope's rows. */
  unsubscribe(scope: string): Promise<void> {
    return this.#call("unsubscribe", scope);
  }

  /** All subscriptions, by scope. */
  subscriptions(): Promise<Progress[]> {
    return this.#call("subscriptions");
  }

  /** How far a subscription is; `null` if the scope is not subscribed. */
  async progress(scope: string): Promise<Progress | null> {
    return (await this.subscriptions()).find((p) => p.scope === scope) ?? null;
  }

  // ---- the network ----

  /** Where the connection stands. */
  connection(): Promise<Connection> {
    return this.#call("connection");
  }

  /** Use no network until `goOnline`, in any tab. */
  goOffline(): Promise<void> {
    return this.#call("goOffline");
  }

  /** Sync from now on. */
  goOnline(): Promise<void> {
    return this.#call("goOnline");
  }

  /** Wait until the outbox is empty and every subscription was heard to its end. Fails with
   * `LF2106` if that takes longer, in milliseconds. */
  settle(timeoutMs: number, waiting: Waiting = {}): Promise<void> {
    return this.#wait(waiting, "settle", timeoutMs);
  }

  /** Wait until every write is as safe as was asked for. Fails with `LF2109` if that takes longer,
   * in milliseconds. */
  drain(timeoutMs: number, waiting: Waiting = {}): Promise<void> {
    return this.#wait(waiting, "drain", timeoutMs);
  }

  /** Sync for a while, in the background: until all is done, the time is over, or about so many
   * bytes went either way. Writes go first, then subscriptions by their priority. To abort ends the
   * slot; the next one goes on where it stopped. The client is offline again afterwards, if it was
   * before. */
  syncOnce(limits: SyncLimits, waiting: Waiting = {}): Promise<SyncReport> {
    return this.#wait(waiting, "syncOnce", limits);
  }

  /** Whose file it is. */
  account(): Promise<Account> {
    return this.#call("account");
  }

  /** A hash over all rows that regions have confirmed: for tests and for support. */
  digest(): Promise<string> {
    return this.#call("digest");
  }

  /** Stop. Another tab goes on with the file, if there is one. */
  async close(): Promise<void> {
    if (this.#ended !== null) {
      return;
    }
    try {
      await this.#call("close");
    } finally {
      this.#worker.terminate();
      this.#broken("The client was closed. Open it again.");
    }
  }

  // ---- streams and waits ----

  #follow<Row>(
    query: Query,
    listener: (update: Update<Row>) => void,
    failed: (error: LandfallError) => void,
  ): () => void {
    const watch = ++this.#lastWatch;
    let rows: Row[] = [];
    this.#watches.set(watch, (news) => {
      if ("update" in news) {
        const changes = news.update.changes as Update<Row>["changes"];
        rows = apply(news.first ? [] : rows, changes);
        listener({ ...news.update, changes, rows, reset: news.first });
      } else if ("error" in news) {
        this.#watches.delete(watch);
        failed(new LandfallError(news.error.code, news.error.message));
      }
    });
    this.#call("watch", watch, query).catch((error) => {
      this.#watches.delete(watch);
      failed(error as LandfallError);
    });
    return () => {
      if (this.#watches.delete(watch)) {
        this.#call("unwatch", watch).catch(() => {});
      }
    };
  }

  #listen(listener: (event: Event) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #stream<V>(newest: boolean, { signal }: Waiting, source: Source<V>): Stream<V> {
    const begun: Source<V> = (sink) => {
      this.#streams.add(stream);
      return source(sink);
    };
    const stream = new Stream<V>(begun, { newest, signal, ended: () => this.#streams.delete(stream) });
    return stream;
  }

  /** A call that waits for regions, and can be given up. */
  async #wait<R>({ signal }: Waiting, method: string, ...args: unknown[]): Promise<R> {
    signal?.throwIfAborted();
    const answer = this.#call<R>(method, ...args);
    const id = this.#lastCall;
    if (signal === undefined) {
      return answer;
    }
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#waiting.delete(id);
        this.#call("giveUp", id).catch(() => {});
        reject(signal.reason);
      };
      signal.addEventListener("abort", abort, { once: true });
      answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    });
  }

  // ---- the worker ----

  #call<R>(method: string, ...args: unknown[]): Promise<R> {
    const id = ++this.#lastCall;
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) {
        reject(this.#ended);
        return;
      }
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#send({ call: { id, method, args } });
    });
  }

  #send(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #heard(message: ToPage): void {
    if ("answer" in message) {
      this.#answered(message.answer);
    } else if ("news" in message) {
      const { news } = message;
      if ("event" in news) {
        this.#listeners.forEach((listener) => listener(news.event));
      } else {
        this.#watches.get(news.watch)?.(news);
      }
    } else {
      void this.#giveToken(message.askToken, message.reason as TokenReason);
    }
  }

  #answered(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ("error" in answer) {
      waiting?.reject(new LandfallError(answer.error.code, answer.error.message));
    } else {
      waiting?.resolve(answer.value);
    }
  }

  async #giveToken(token: number, reason: TokenReason): Promise<void> {
    try {
      const given = typeof this.#token === "string" ? this.#token : await this.#token(reason);
      this.#send({ token, value: given });
    } catch {
      this.#send({ token, failed: true });
    }
  }

  /** Nothing more will be answered. */
  #broken(message: string): void {
    const ended = new LandfallError("LF2104", message);
    this.#ended = ended;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    [...this.#streams].forEach((stream) => stream.end());
    waiting.forEach(({ reject }) => reject(ended));
  }
}

/** What a row of a type holds. */
type RowOf<T, K extends keyof T> = T[K] extends { row: infer R } ? R : Record<string, SqlValue>;

/** What can be put into a type. */
type Put<T, K extends keyof T> = T[K] extends { put: infer P } ? P : Record<string, FieldValue>;

/** Edits to be written together: all of them or none. */
export class Transaction<T = AnyTables> {
  readonly #edits: Edit[] = [];
  readonly #commit: (edits: Edit[]) => Promise<Receipt>;

  /** @internal Use {@link Landfall.transaction}. */
  constructor(commit: (edits: Edit[]) => Promise<Receipt>) {
    this.#commit = commit;
  }

  /** Create the entity, or change the given fields of the one that is there. */
  upsert<K extends Name<T>>(type: K, id: string, fields: Partial<Put<T, K>>): this {
    return this.#add({ op: "upsert", type, id, fields: fields as Record<string, FieldValue> });
  }

  /** Change the given fields of an entity that is there. */
  update<K extends Name<T>>(type: K, id: string, fields: Partial<Put<T, K>>): this {
    return this.#add({ op: "update", type, id, fields: fields as Record<string, FieldValue> });
  }

  /** Delete an entity that is there. */
  delete(type: Name<T>, id: string): this {
    return this.#add({ op: "delete", type, id });
  }

  /** Add to a counter; a negative number takes away. */
  increment(type: Name<T>, id: string, field: string, by: number | bigint): this {
    return this.#add({ op: "increment", type, id, field, by });
  }

  /** Put an element into a set. */
  addToSet(type: Name<T>, id: string, field: string, value: FieldValue): this {
    return this.#add({ op: "add", type, id, field, value });
  }

  /** Take an element out of a set. */
  removeFromSet(type: Name<T>, id: string, field: string, value: FieldValue): this {
    return this.#add({ op: "remove", type, id, field, value });
  }

  /** Replace `remove` code points of a text, from code point `at` on, by `insert`. */
  splice(type: Name<T>, id: string, field: string, at: number, remove: number, insert: string): this {
    return this.#add({ op: "splice", type, id, field, at, delete: remove, insert });
  }

  /** The edit before this means the entity in this home scope. */
  inHome(home: string): this {
    const last = this.#edits.at(-1);
    if (last !== undefined) {
      last.home = home;
    }
    return this;
  }

  /** Write. When the promise is kept, the transaction is in the file. */
  commit(): Promise<Receipt> {
    return this.#commit(this.#edits);
  }

  #add(edit: Edit): this {
    this.#edits.push(edit);
    return this;
  }
}
