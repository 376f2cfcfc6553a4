// Why a row shows on this device, or does not. docs/field.md has the words.

import type { Connection, EntityKey, Fate, Outcome, Terms } from "./values.js";

/** Why an entity shows on this device, or does not, as far as the device knows. No value of a field
 * is in it. */
export interface Explanation {
  /** Its home is empty where only type and id are known. */
  key: EntityKey;
  /** The one reason that counts. */
  answer: Reason;
  /** The answer in a sentence, and all of it over several lines, for people. */
  sentence: string;
  text: string;
  /** The app wants it kept. */
  pinned: boolean;
  /** Its home, the audiences that its fields name, and subscribed scopes that could hold it. */
  scopes: ScopeState[];
  /** Audiences that could hold it, as the schema writes them. */
  audiences: string[];
  /** Who wrote each register that shows, last. */
  fields: FieldWrite[];
  /** Own writes on it that are kept, in their order. */
  writes: OwnWrite[];
  /** Outcomes of own writes on it that the app has not dismissed. */
  outcomes: Outcome[];
  /** It was deleted, and `restore` brings it back. */
  canRestore: boolean;
  connection: Connection;
}

/** Why an entity shows or does not. Of several reasons the first in this order is given. */
export type Reason =
  | { is: "present" | "pending"; ownWrites: number }
  | { is: "deleted"; by: string | null }
  | { is: "fell_with_parent"; parent: EntityKey }
  | { is: "rejected"; dot: string; code: string; reason: string; field: string | null; detail: string }
  | { is: "left"; scope: string }
  | { is: "denied"; scope: string; code: string }
  | { is: "asked_for"; scope: string }
  | { is: "loading"; scope: string }
  | { is: "no_room"; scope: string; wasHere: boolean }
  | { is: "outside_window"; scope: string; keepMs: number }
  | { is: "not_there"; asOfMs: number }
  | { is: "not_subscribed" };

/** What is known of a scope that holds the entity, or could. */
export interface ScopeState {
  scope: string;
  /** It is its home; its fields name it as an audience; or it is subscribed and could hold it. */
  why: "home" | "named" | "possible";
  /** It holds the row on this device. */
  holds: boolean;
  /** `null` if it is not subscribed. */
  subscription: {
    denied: string | null;
    loading: boolean;
    terms: Terms;
    short: boolean;
    asOfMs: number;
    asked: boolean;
  } | null;
}

/** The write that shows in a register. */
export interface FieldWrite {
  field: string;
  dot: string;
  atMs: number;
  /** It was made on this device. */
  own: boolean;
  /** False while it stands over another value of the region's row. */
  confirmed: boolean;
}

/** An own write, and what it waits for. */
export interface OwnWrite {
  dot: string;
  what: "create" | "update" | "delete";
  fate: Fate;
  /** It is applied over the region's row. */
  shows: boolean;
  atMs: number;
  waits: Wait[];
}

/** What a write waits for: a session, a write that it stands on, the regions' clock, its turn, the
 * answer of regions (of any, if none is named), copies in other regions, the row with it in it. */
export type Wait =
  | { on: "session" | "time" | "turn" | "copies" | "row" }
  | { on: "write"; dot: string }
  | { on: "answer"; regions: number[] };
