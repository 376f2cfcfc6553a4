// The client as a page has it. The file and the connection are in a worker; every call is a
// promise of its answer.

import type { Answer, News, ToPage, ToWorker } from "./messages.js";
import { apply } from "./rows.js";
import type { Explanation } from "./explain.js";
import type { TakenIn } from "./rescue.js";
import { Stream, type Source } from "./stream.js";
import { TextEditor } from "./text.js";
import {
  Transaction, type Name, type Put, type RowOf, type Searched, type SearchedBy, type Written,
} from "./transaction.js";
import {
  LandfallError,
  type Account,
  type AnyTables,
  type Cancelled,
  type Conditions,
  type Connection,
  type Event,
  type Fate,
  type Following,
  type Found,
  type Granted,
  type OpenOptions,
  type Outcome,
  type OutboxStatus,
  type Parameter,
  type Progress,
  type Query,
  type Receipt,
  type SearchOptions,
  type SearchQuery,
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
export * from "./explain.js";
export { rescue, type Rescue, type RescueReport, type TakenIn } from "./rescue.js";
export { apply } from "./rows.js";
export { TextEditor } from "./text.js";
export { Transaction } from "./transaction.js";

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
  readonly #streams = new Set<{ end(): void; fail(error: unknown): void }>();
  #lastCall = 0;
  #lastWatch = 0;
  #lastText = 0;
  /** Why nothing more is answered. */
  #ended: LandfallError | null = null;

  /** @internal Use {@link open}. */
  constructor(worker: Worker, options: OpenOptions) {
    this.#worker = worker;
    this.#token = options.token;
    worker.onmessage = (message: MessageEvent<ToPage>) => this.#heard(message.data);
    worker.onerror = (error) => this.#crashed(error.message);
    const token = typeof options.token === "string" ? options.token : null;
    this.#send({ open: { ...options, token } });
  }

  // ---- writing ----

  /** Gather edits, to be written together by `commit`. */
  transaction(): Transaction<T> {
    return new Transaction((edits) => this.#call("commit", edits));
  }

  /** Create the entity, or change the given fields of the one that is there. */
  upsert<K extends Written<T>>(type: K, id: string, fields: Partial<Put<T, K>>): Promise<Receipt> {
    return this.transaction().upsert(type, id, fields).commit();
  }

  /** Change the given fields of an entity that is there. */
  update<K extends Written<T>>(type: K, id: string, fields: Partial<Put<T, K>>): Promise<Receipt> {
    return this.transaction().update(type, id, fields).commit();
  }

  /** Delete an entity that is there. */
  delete(type: Written<T>, id: string): Promise<Receipt> {
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
  ): Following;
  observe<Row>(
    query: Query,
    how: Waiting | ((update: Update<Row>) => void) = {},
    failed: (error: LandfallError) => void = () => {},
  ): AsyncIterableIterator<Row[]> | Following {
    return typeof how === "function" ? this.#follow(query, how, failed) : this.#newest(query, how);
  }

  /** The same with what changed and what is on this device. Each update comes, in turn. */
  observeChanges<Row = Record<string, SqlValue>>(
    query: Query, waiting: Waiting = {},
  ): AsyncIterableIterator<Update<Row>> {
    return this.#stream<Update<Row>>(false, waiting, (stream) =>
      this.#follow<Row>(query, (update) => stream.push(update), (error) => stream.fail(error)).stop);
  }

  /** Rows of a type that hold all of these words, the best first. It finds what is on this device.
   * Fails with `LF2120` if the type is not searched. */
  search<K extends Searched<T>>(
    type: K, text: string, how: SearchOptions<SearchedBy<T, K>> = {},
  ): Promise<Found<RowOf<T, K>>[]> {
    return this.#call("search", { ...how, table: type, search: text });
  }

  /** The same, now and whenever it changes. It is run anew when rows of the type change. */
  observeSearch<K extends Searched<T>>(
    type: K, text: string, how?: SearchOptions<SearchedBy<T, K>>, waiting?: Waiting,
  ): AsyncIterableIterator<Found<RowOf<T, K>>[]>;
  /** The same, for a listener; see `observe`. */
  observeSearch<K extends Searched<T>>(
    type: K,
    text: string,
    how: SearchOptions<SearchedBy<T, K>>,
    listener: (update: Update<Found<RowOf<T, K>>>) => void,
    failed?: (error: LandfallError) => void,
  ): Following;
  observeSearch<K extends Searched<T>>(
    type: K,
    text: string,
    how: SearchOptions<SearchedBy<T, K>> = {},
    told: Waiting | ((update: Update<Found<RowOf<T, K>>>) => void) = {},
    failed: (error: LandfallError) => void = () => {},
  ): AsyncIterableIterator<Found<RowOf<T, K>>[]> | Following {
    const query: SearchQuery = { ...how, table: type, search: text };
    return typeof told === "function" ? this.#follow(query, told, failed) : this.#newest(query, told);
  }

  /** An editor on a text field of an entity that is there. Close it after use. */
  async text(type: Written<T>, id: string, field: string): Promise<TextEditor> {
    const editor = ++this.#lastText;
    const value = await this.#call<string>("text", editor, type, id, field);
    return new TextEditor(value, (method, ...args) => this.#call(method, editor, ...args));
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

  /** Take back a write that never left this device, with its transaction and with all that stands on
   * it. `LF2021`: one of them may have left; `LF2022`: there is no such write; `LF2023`: a later edit
   * of the same text has it in it. */
  cancel(dot: string): Promise<Cancelled> {
    return this.#call("cancel", dot);
  }

  /** Bring a deleted entity back as this device knew it last, with all that fell with it. `home` is
   * its home scope. `LF2024`: this device does not know its values any more. */
  restore(type: Written<T>, home: string, id: string): Promise<Receipt> {
    return this.#call("restore", type, home, id);
  }

  // ---- what a device knows of itself ----

  /** Why an entity shows on this device, or does not. Without its home scope it fails with `LF2013`
   * if the id stands for several. */
  explain(type: Name<T>, id: string, home?: string): Promise<Explanation> {
    return this.#call("explain", type, id, home);
  }

  /** A JSON document for support, without the user's data. It reads the whole file. */
  supportBundle(): Promise<string> {
    return this.#call("supportBundle");
  }

  /** Take in the writes of a damaged file of this account, each once: the `document` of a `Rescue`.
   * To take the same in again does no harm. `LF2107`: a write in it was made by another account;
   * `LF2113`: it is no such document. */
  takeIn(document: Uint8Array): Promise<TakenIn> {
    return this.#call("takeIn", document);
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

  /** What the user's network and battery are like now. What it means is in `OpenOptions.network`.
   * Browsers tell little of it; it holds for all tabs. */
  setConditions(conditions: Conditions): Promise<void> {
    return this.#call("setConditions", conditions);
  }

  /** The device's network is another one, or is back (the event `online`): look at once whether the
   * region still answers, and end every wait. */
  networkChanged(): Promise<void> {
    return this.#call("networkChanged");
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
   * bytes went either way. Writes go first, then subscriptions by their priority, those below
   * `priorityMin` not at all. To abort ends the
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
      this.#end("The client was closed. Open it again.");
      [...this.#streams].forEach((stream) => stream.end());
    }
  }

  // ---- streams and waits ----

  #newest<Row>(query: Query | SearchQuery, waiting: Waiting): Stream<Row[]> {
    return this.#stream<Row[]>(true, waiting, (stream) =>
      this.#follow<Row>(query, (update) => stream.push(update.rows), (error) => stream.fail(error)).stop);
  }

  #follow<Row>(
    query: Query | SearchQuery,
    listener: (update: Update<Row>) => void,
    failed: (error: LandfallError) => void,
  ): Following {
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
    this.#call("watch", watch, query).catch((error: LandfallError) => {
      // Not after a stop, nor where it was told already.
      if (this.#watches.delete(watch)) {
        failed(error);
      }
    });
    const stop = () => {
      if (this.#watches.delete(watch)) {
        this.#call("unwatch", watch).catch(() => {});
      }
    };
    return { stop, explain: () => this.#call("explainWatch", watch) };
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
    } catch (error) {
      this.#send({ token, failed: error instanceof Error ? error.message : String(error) });
    }
  }

  /** The worker is at its end, and nobody asked it to be. Without it the browser frees its locks, and
   * another tab goes on with the file. */
  #crashed(message: string): void {
    this.#worker.terminate();
    const ended = this.#end(message);
    const watches = [...this.#watches];
    watches.forEach(([watch, tell]) => tell({ watch, error: { code: ended.code, message } }));
    [...this.#streams].forEach((stream) => stream.fail(ended));
  }

  /** Nothing more will be answered. */
  #end(message: string): LandfallError {
    const ended = new LandfallError("LF2104", message);
    this.#ended = ended;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    waiting.forEach(({ reject }) => reject(ended));
    return ended;
  }
}
