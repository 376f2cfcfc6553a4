// What a page and its worker, and the workers of several tabs, say to each other.

import type { Account, Conditions, Coverage, Event, OpenOptions, RowChange } from "./values.js";

/** A call of the client, by name. */
export interface Call {
  id: number;
  method: string;
  args: unknown[];
}

/** What a call came to. */
export type Answer =
  | { id: number; value: unknown }
  | { id: number; error: { code: string; message: string } };

/** A live query's update as it travels: the page keeps the rows. */
export interface Change {
  changes: RowChange<Record<string, unknown>>[];
  coverage: Coverage;
  incremental: boolean;
}

/** Told without being asked, by whoever has the file. */
export type News =
  | { watch: number; update: Change; first: boolean }
  | { watch: number; error: { code: string; message: string } }
  | { event: Event };

/** What is done with files that nobody has open. */
export type Task =
  | { known: { folders: string[]; schema: string } }
  | { claim: { from: Place; to: Place; schema: string } }
  | { rescue: { folder: string } };

/** An account's file. */
export interface Place {
  folder: string;
  account: Account;
}

/** From a page to its worker. A function cannot travel, so tokens are asked for. */
export type ToWorker =
  | { open: Omit<OpenOptions, "token"> & { token: string | null } }
  | { task: Task }
  | { call: Call }
  | { token: number; value: string }
  | { token: number; failed: string };

/** From a worker to its page. */
export type ToPage = { answer: Answer } | { news: News } | { askToken: number; reason: string };

/** Between the workers of one file. */
export type Between =
  | { kind: "owner" }
  | { kind: "call"; from: string; call: Call }
  | { kind: "answer"; to: string; answer: Answer }
  | { kind: "news"; to: string | null; news: News }
  | { kind: "goal"; goal: Goal };

/** What the app wants of the network, and says of it. The next owner begins with that. */
export interface Goal {
  online: boolean;
  conditions: Conditions;
}
