// What goes in and comes out, as an app sees it.

/** A value of a column. Whole numbers beyond 2^53 are `bigint`. */
export type SqlValue = null | number | bigint | string | Uint8Array;

/** A parameter of a statement. */
export type Parameter = SqlValue | boolean;

/** What a field can be set to. Decimals are text (`"12.50"`); value objects and lists are objects
 * and arrays. */
export type FieldValue = Parameter | { [member: string]: unknown } | unknown[];

/** The types of a schema: what their rows hold, and what can be put into them. The output of
 * `landfall generate typescript` has one. */
export interface AnyTables {
  [type: string]: { row: Record<string, SqlValue>; put: Record<string, FieldValue>; search: string };
}

/** An entity by its names. */
export interface EntityKey {
  type: string;
  id: string;
  home: string;
}

/** A transaction that was written: its ops, for `fate`, and the entities that it wrote to. */
export interface Receipt {
  dots: string[];
  keys: EntityKey[];
}

/** Where a write stands. */
export type Fate =
  | { state: "pending"; sent: boolean }
  | { state: "accepted"; durable: boolean }
  | { state: "rejected"; code: string; reason: string; field: string | null; detail: string }
  | { state: "unknown" };

/** Something that the app should deal with; kept until `dismiss`. */
export interface Outcome {
  dot: string;
  key: EntityKey;
  kind: "rejected" | "overwritten" | "deleted" | "left" | "rolledBack";
  /** Of a refusal: a stable code, the region's word, and its words for people. */
  code?: string;
  reason?: string;
  detail?: string;
  /** The field that is to blame, or that was overwritten. */
  field?: string | null;
  /** What was overwritten, as the column would hold it. */
  lost?: SqlValue;
}

/** What of the data asked for is on this device. A row that is missing from anything less than
 * `complete` may exist all the same. */
export type Coverage = "complete" | "loading" | "partial";

/** How far a subscription is. `total` is 0 while the region does not know it. */
export interface Progress {
  scope: string;
  rows: number;
  total: number;
  coverage: Coverage;
  missing: Missing;
  /** The scope was last heard to its end at this time, since 1970; 0 if it never was. */
  asOfMs: number;
}

/** Why rows of a subscribed scope may be missing though it is not loading. */
export interface Missing {
  /** Those older than this, by the subscription's terms. */
  olderThanMs: number | null;
  /** Some were left out or evicted for want of room. */
  forRoom: boolean;
  /** All of them: a region refused the scope, with this code. */
  denied: string | null;
}

/** How much of a scope a subscription holds. What is left out is without limit. */
export interface Terms {
  /** Only what is younger than this, by the window field of its type or of its parent's. */
  keepMs?: number;
  /** Rows of higher ones, up to 255, come first and are evicted last. */
  priority?: number;
  /** At most so many rows. */
  rowsMax?: number;
  /** At most so many bytes of row state. */
  bytesMax?: number;
  /** Let go of the scope by itself, this long after the app last asked for it. */
  ttlMs?: number;
}

/** The scopes that an account may subscribe: names, or prefixes that end in `*`. */
export interface Granted {
  /** Home scopes, which it may also write. */
  scopes: string[];
  /** Audiences, in which it may write what the schema lets them. */
  audiences: string[];
}

/** How long a slot in the background may be. */
export interface SyncLimits {
  /** It is over after this time. */
  deadlineMs: number;
  /** And after about so many bytes, both ways together. */
  bytesMax?: number;
  /** Of the subscriptions only those of at least this priority; own writes always. */
  priorityMin?: number;
}

/** What the user's network and battery are like now. */
export interface Conditions {
  /** Bytes cost the user money. */
  metered?: boolean;
  /** The device saves its battery. */
  lowPower?: boolean;
}

/** What syncing may cost, and whose directory of regions is followed. What is left out is as
 * docs/regions.md says. */
export interface NetworkOptions {
  /** What is synced over a metered network: everything, own writes and what becomes of them, or
   * nothing. */
  onMetered?: "all" | "writes" | "nothing";
  /** Bytes a day, both ways, over metered networks; own writes still leave beyond it. */
  meteredBytesADay?: number;
  /** While the device saves its battery, writes wait so long for others to leave with them. */
  lowPowerGatherMs?: number;
  /** Of a hundred pushes, so many may be offered to a second region. 0: none ever. */
  hedgePercent?: number;
  /** Public keys that directories of regions are signed with, as `landfall directory key` prints
   * them. None: no directory is taken. */
  directoryKeys?: string[];
}

/** Writes that were taken back before they left this device. */
export interface Cancelled {
  /** The transaction of the write that was named. */
  dots: string[];
  /** What stood on it, in whole transactions. */
  dependants: string[];
  /** The entities that they wrote to, each once. */
  keys: EntityKey[];
}

/** What a slot did. `unsent` counts writes that are not yet as safe as was asked for. */
export interface SyncReport {
  done: boolean;
  unsent: number;
  bytesUp: number;
  bytesDown: number;
}

/** What a wait can be given up with. */
export interface Waiting {
  signal?: AbortSignal;
}

/** Whose data a file holds. `tenant` is `""` where there is only one. */
export interface Account {
  tenant: string;
  subject: string;
}

/** An account whose file is in this browser. */
export interface KnownAccount {
  account: Account;
  /** Writes that are not yet as safe as was asked for. */
  unsent: number;
}

/** Where the connection with the regions stands. */
export interface Connection {
  state: "offline" | "standby" | "connecting" | "online" | "waiting";
  region?: string;
  retryMs?: number;
  code?: string | null;
}

/** The outbox in numbers. `oldestMs` is when its oldest write was made, since 1970. */
export interface OutboxStatus {
  pending: number;
  accepted: number;
  oldestMs: number | null;
}

/** Something that happened. `takenOver`: another tab has the file now, and events may be missing. */
export type Event =
  | { kind: "fate"; dot: string; key: EntityKey; fate: Fate }
  | { kind: "outcome"; outcome: Outcome }
  | { kind: "progress"; progress: Progress }
  | { kind: "granted"; granted: Granted }
  | { kind: "denied"; scope: string; code: string }
  | { kind: "connection"; connection: Connection }
  | { kind: "missed"; count: number }
  | { kind: "takenOver" };

/** A window of one table, which is followed row by row; or any statement that reads, which is run
 * anew when a table that it names changes. */
export type Query =
  | {
      table: string;
      where?: string;
      params?: Parameter[];
      orderBy?: { column: string; descending?: boolean }[];
      limit?: number;
      /** Columns of the rows that references lead to: `{ customer: ["name"] }` adds the column
       * `customer.name`, null where the reference leads to no row of this device. */
      include?: { [reference: string]: string[] };
    }
  | { sql: string; params?: Parameter[] };

/** What a search asks besides its words. */
export interface SearchOptions<Field extends string = string> {
  /** How the text is read: all of these words (`bread*` finds what begins with it, words in quotes
   * stand one behind the other); the same while it is being `typed`, when the last word may go on;
   * or an expression of FTS5 of the app's own (`raw`). */
  as?: "words" | "typed" | "raw";
  /** Look only in these fields. */
  within?: Field[];
  /** Only rows for which this SQL expression is true, too. */
  where?: string;
  params?: Parameter[];
  /** At most so many rows, the best ones; 50 if left out. */
  limit?: number;
  /** What stands before and behind a word that was found; `[` and `]` if left out. */
  marks?: [string, string];
  /** Length of the snippet, in words, 1 to 64; 16 if left out. */
  snippetWords?: number;
  /** Also each searched field as a whole, marked: `_marked_title` for `title`. */
  highlight?: boolean;
}

/** A row that was found. */
export type Found<Row> = Row & {
  /** Lower for better. */
  _rank: number;
  /** A piece of the field in which the most was found. */
  _snippet: string | null;
};

/** A search as a live query. */
export interface SearchQuery extends SearchOptions {
  table: string;
  search: string;
}

/** How a live query works and what it has done, for somebody who wants to know why it is slow. */
export interface LiveExplain {
  /** Kept up to date by the keys of the rows that changed; else the whole statement is run anew. */
  incremental: boolean;
  why: string;
  /** The types whose changes it hears of; none: all of them. */
  tables: string[];
  /** Rows that it shows, and rows that it holds. */
  rows: number;
  held: number;
  /** Times that the whole statement was run, and that changed rows were looked up instead. */
  runs: number;
  refreshes: number;
  lookups: number;
  updates: number;
  /** What the last of these took. */
  lastCostMs: number;
  /** SQLite's plan of the whole statement. */
  steps: string[];
  /** What would make it cheaper, if something would. */
  advice: string | null;
}

/** A live query that a listener follows. */
export interface Following {
  /** No further update comes. To stop twice is to stop once. */
  stop(): void;
  /** How the query works, and what it has done until now. Fails with `LF2104` when it has ended. */
  explain(): Promise<LiveExplain>;
}

/** One change of a live query's rows. `old` is a place before all changes of the update, `new` one
 * after all of them. */
export type RowChange<Row> =
  | { kind: "remove"; old: number }
  | { kind: "insert"; new: number; row: Row }
  | { kind: "move"; old: number; new: number }
  | { kind: "update"; old: number; new: number; columns: string[]; row: Row };

/** What changed in a live query between two of its updates, and what it holds now. */
export interface Update<Row> {
  changes: RowChange<Row>[];
  rows: Row[];
  coverage: Coverage;
  incremental: boolean;
  /** True in the first update, and in the one after another tab took the file over: the changes
   * lead from no rows to these. */
  reset: boolean;
}

/** One edit of a transaction. */
export type Edit =
  | { op: "upsert" | "update"; type: string; id: string; fields: Record<string, FieldValue>; home?: string }
  | { op: "delete"; type: string; id: string; home?: string }
  | { op: "increment"; type: string; id: string; field: string; by: number | bigint; home?: string }
  | { op: "add" | "remove"; type: string; id: string; field: string; value: FieldValue; home?: string }
  | {
      op: "splice"; type: string; id: string; field: string;
      at: number; delete: number; insert: string; home?: string;
    };

/** Why a token is asked for: `refused` wants another than the last one. */
export type TokenReason = "connect" | "refused";

/** Everything that `open` needs. */
export interface OpenOptions {
  /** The name of the account's file; every account has one of its own. */
  name: string;
  /** The text of the app's schema. */
  schema: string;
  /** Whose file it is. */
  account: Account;
  /** Regions in order of preference, by name and URL (`https://…`). */
  regions: { name: string; url: string }[];
  /** A bearer token, or what gives one. */
  token: string | ((reason: TokenReason) => string | Promise<string>);
  /** Use no network until `goOnline`. */
  startOffline?: boolean;
  /** Evict rows when more than so many bytes of the file are in use. */
  diskBytesMax?: number;
  /** What syncing may cost, and whose directory of regions is followed. */
  network?: NetworkOptions;
  /** Keep nothing beyond this tab. */
  inMemory?: boolean;
}

/** A call that failed. `code` is stable; docs/errors has every one. */
export class LandfallError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = "LandfallError";
    this.code = code;
  }
}
