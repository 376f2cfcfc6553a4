// A shared text as an editor on screen has it.

import type { Receipt } from "./values.js";

/** An editor's copy of a text. What comes in from elsewhere does not move the text under the user's
 * cursor until `pull`; what the user types merges with it all the same. Edits are durable from
 * `commit` on.
 *
 * The copy is with the tab that has the file. When that tab goes, calls fail with `LF2311`: `value`
 * still has what was typed, and another editor has what was committed. */
export class TextEditor {
  readonly #call: <R>(method: string, ...args: unknown[]) => Promise<R>;
  #value: string;

  /** @internal Use `Landfall.text`. */
  constructor(value: string, call: <R>(method: string, ...args: unknown[]) => Promise<R>) {
    this.#value = value;
    this.#call = call;
  }

  /** The text as this editor shows it. */
  get value(): string {
    return this.#value;
  }

  /** Replace `remove` code points, from code point `at` on, by `insert`, in this editor. Fails with
   * `LF2016` if that reaches beyond the text. */
  async splice(at: number, remove: number, insert: string): Promise<void> {
    this.#value = await this.#call<string>("textSplice", at, remove, insert);
  }

  /** Write what was spliced since the last commit; `null` if nothing was. */
  commit(): Promise<Receipt | null> {
    return this.#call("textCommit");
  }

  /** Take in everything that the device has. */
  async pull(): Promise<void> {
    this.#value = await this.#call<string>("textPull");
  }

  /** Let go of the copy. What was not committed is gone. */
  close(): Promise<void> {
    return this.#call("textClose");
  }
}
