// What tabs share: names, and the lock of a file.

/** Held by whoever has the file of this name. */
export function fileLock(name: string): string {
  return `landfall:${name}`;
}

/** Where files of that name lie in the origin's private file system. */
export const ROOT = "landfall";

/** The code for what is wrong with the files of accounts. */
export const ACCOUNT_FILES = "LF2110";

/** How long a tab that is closing is waited for. */
const LOCK_MS = 3_000;

/** Do something while nobody has the file open. */
export async function locked<R>(folder: string, work: () => Promise<R>): Promise<R> {
  const waiting = AbortSignal.timeout(LOCK_MS);
  let begun = false;
  try {
    return await navigator.locks.request(fileLock(folder), { signal: waiting }, () => {
      begun = true;
      return work();
    });
  } catch (error) {
    if (begun) {
      throw error;
    }
    throw { code: ACCOUNT_FILES, message: "The account's file is open, in this tab or another." };
  }
}
