// Own writes out of a damaged file, for another one to take in.

import { directoryOf, inWorker } from "./accounts.js";
import { ROOT } from "./locks.js";
import { LandfallError, type Account } from "./values.js";

/** What could be read of a damaged file. */
export interface Rescue {
  report: RescueReport;
  /** Whose file it was, if that could be read. */
  account: Account | null;
  /** The writes, for `takeIn`, with the user's data in them. */
  document: Uint8Array;
}

/** A rescue in numbers. */
export interface RescueReport {
  /** Nothing shows that anything is missing. */
  whole: boolean;
  /** Writes that were read: not sent; sent and not known to be safe; safe; refused. */
  unsent: number;
  sent: number;
  safe: number;
  refused: number;
  outcomes: number;
  /** Writes that are known to have been there and could not be read. */
  lost: string[];
  /** Writes that were read, of transactions of which another part could not be. */
  incomplete: number;
  rowsDamaged: number;
  pagesUnread: number;
  headerDestroyed: boolean;
}

/** What was taken in of a rescue. */
export interface TakenIn {
  /** In the outbox again, under their old numbers. */
  waiting: string[];
  /** Kept as refused. */
  refused: string[];
  /** Held by enough regions when the file broke: they come with the rows. */
  safe: number;
  /** Here already. */
  known: number;
}

/** Read what can be read of the file of this name, which need not be whole; nothing in it changes.
 * Fails with `LF2201` if there is none, with `LF2202` if it is something else's, with `LF2110` while
 * it is open. */
export async function rescue(name: string): Promise<Rescue> {
  // To look for it in a worker would make it.
  if ((await directoryOf(`${ROOT}/${name}`)) === null) {
    throw new LandfallError("LF2201", "There is no file of this name.");
  }
  return inWorker<Rescue>({ rescue: { folder: name } });
}
