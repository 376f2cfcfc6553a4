// Edits that are written together, by the names and types of a schema.

import type { AnyTables, Edit, FieldValue, Receipt, SqlValue } from "./values.js";

/** Names of the types of a schema. */
export type Name<T> = Extract<keyof T, string>;

/** Those that devices write: all but those that are `@shared`. */
export type Written<T> = { [K in Name<T>]: T[K] extends { shared: true } ? never : K }[Name<T>];

/** The same types as who publishes the shared ones sees them: all are written. */
export type Published<T> = { [K in keyof T]: T[K] extends { shared: true } ? Omit<T[K], "shared"> : T[K] };

/** Those of which fields have `@search`. */
export type Searched<T> = { [K in Name<T>]: T[K] extends { search: string } ? K : never }[Name<T>];

/** Fields of a type that are searched. */
export type SearchedBy<T, K extends keyof T> = T[K] extends { search: infer F extends string } ? F : never;

/** What a row of a type holds. */
export type RowOf<T, K extends keyof T> = T[K] extends { row: infer R } ? R : Record<string, SqlValue>;

/** What can be put into a type. */
export type Put<T, K extends keyof T> = T[K] extends { put: infer P } ? P : Record<string, FieldValue>;

/** Edits to be written together: all of them or none. */
export class Transaction<T = AnyTables> {
  readonly #edits: Edit[] = [];
  readonly #commit: (edits: Edit[]) => Promise<Receipt>;

  /** @internal Use {@link Landfall.transaction}. */
  constructor(commit: (edits: Edit[]) => Promise<Receipt>) {
    this.#commit = commit;
  }

  /** Create the entity, or change the given fields of the one that is there. */
  upsert<K extends Written<T>>(type: K, id: string, fields: Partial<Put<T, K>>): this {
    return this.#add({ op: "upsert", type, id, fields: fields as Record<string, FieldValue> });
  }

  /** Change the given fields of an entity that is there. */
  update<K extends Written<T>>(type: K, id: string, fields: Partial<Put<T, K>>): this {
    return this.#add({ op: "update", type, id, fields: fields as Record<string, FieldValue> });
  }

  /** Delete an entity that is there. */
  delete(type: Written<T>, id: string): this {
    return this.#add({ op: "delete", type, id });
  }

  /** Add to a counter; a negative number takes away. */
  increment(type: Written<T>, id: string, field: string, by: number | bigint): this {
    return this.#add({ op: "increment", type, id, field, by });
  }

  /** Put an element into a set. */
  addToSet(type: Written<T>, id: string, field: string, value: FieldValue): this {
    return this.#add({ op: "add", type, id, field, value });
  }

  /** Take an element out of a set. */
  removeFromSet(type: Written<T>, id: string, field: string, value: FieldValue): this {
    return this.#add({ op: "remove", type, id, field, value });
  }

  /** Replace `remove` code points of a text, from code point `at` on, by `insert`. */
  splice(type: Written<T>, id: string, field: string, at: number, remove: number, insert: string): this {
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
