// Several people in one browser: a file for each account, and what becomes of it when somebody
// leaves.
//
// A folder holds the files, each below a name that is made from tenant and subject and tells
// neither. There is no list beside the files that could say something else than they do.

import { Landfall, open } from "./index.js";
import { ACCOUNT_FILES, ROOT, locked } from "./locks.js";
import type { Answer, Task } from "./messages.js";
import type { Found } from "./tasks.js";
import { LandfallError, type Account, type AnyTables, type KnownAccount, type OpenOptions } from "./values.js";

/** What all accounts of a browser have in common. */
export interface AccountsOptions extends Omit<OpenOptions, "name" | "account" | "token" | "inMemory"> {
  /** The folder of their files; "accounts" if it is left out. */
  folder?: string;
}

/** What to do with what is unsent when somebody signs out: keep the file until the account
 * returns; remove it with all that is in it; or remove it once every write is as safe as was asked
 * for, which is waited for at most so long. */
export type SignOut = "keep" | "discard" | { waitMs: number };

/** How long the browser may take to let go of a file. */
const REMOVE_TRIES = 40;
const REMOVE_PAUSE_MS = 50;

/** The accounts of a browser. */
export class Accounts<T = AnyTables> {
  readonly #folder: string;
  readonly #defaults: Omit<AccountsOptions, "folder">;

  constructor({ folder = "accounts", ...defaults }: AccountsOptions) {
    this.#folder = folder;
    this.#defaults = defaults;
  }

  /** An account for somebody who has none yet: a name that no other device draws. */
  anonymous(): Account {
    const random = crypto.getRandomValues(new Uint8Array(8));
    return { tenant: "", subject: `anonymous-${hex(random)}` };
  }

  /** Open an account's file, or make it, and begin to sync. */
  async signIn(account: Account, token: OpenOptions["token"]): Promise<Landfall<T>> {
    return open<T>({ ...this.#defaults, name: await this.#name(account), account, token });
  }

  /** Close an account's client, and do with its file as `how` says. Returns how many writes were
   * unsent: kept, or discarded. Fails with `LF2109` if waiting took too long; the client is open
   * then as before. */
  async signOut(client: Landfall<T>, how: SignOut): Promise<number> {
    if (typeof how === "object") {
      await client.drain(how.waitMs);
    }
    const [{ pending, accepted }, account] = await Promise.all([client.outboxStatus(), client.account()]);
    await client.close();
    if (how !== "keep") {
      await this.wipe(account);
    }
    return pending + accepted;
  }

  /** Every account that has a file here, by tenant and subject. */
  async list(): Promise<KnownAccount[]> {
    const folders = await this.#folders();
    const { schema } = this.#defaults;
    const found = folders.length === 0 ? [] : await inWorker<Found[]>({ known: { folders, schema } });
    const known = await Promise.all(found.map((one, at) => (one === "open" ? this.#ask(folders[at]!) : one)));
    const named = (k: KnownAccount) => `${k.account.tenant}\0${k.account.subject}`;
    return known.filter((one) => one !== null).sort((a, b) => (named(a) < named(b) ? -1 : 1));
  }

  /** Remove an account's file with all that is in it. Not while it is open: `LF2110`. */
  async wipe(account: Account): Promise<void> {
    await this.#remove(await this.#name(account));
  }

  /** Let an account take over what an anonymous one did here: its rows and its unsent writes.
   * Neither is open meanwhile. Where the account has a file already, the writes are made again in
   * it, in their order, and the rows come by sync. Returns how many writes were taken over. Fails
   * with `LF2109` if a write of the anonymous account is on its way: let it settle first. */
  async claim(anonymous: Account, account: Account): Promise<number> {
    const [from, to] = await Promise.all([this.#name(anonymous), this.#name(account)]);
    const claim = {
      from: { folder: from, account: anonymous }, to: { folder: to, account }, schema: this.#defaults.schema,
    };
    const writes = await inWorker<number>({ claim });
    await this.#remove(from);
    return writes;
  }

  async #name({ tenant, subject }: Account): Promise<string> {
    const text = new TextEncoder().encode(`${tenant}\0${subject}`);
    const hash = await crypto.subtle.digest("SHA-256", text);
    return `${this.#folder}/${hex(new Uint8Array(hash).slice(0, 16))}`;
  }

  async #folders(): Promise<string[]> {
    const names: string[] = [];
    const directory = await directoryOf(`${ROOT}/${this.#folder}`);
    // The compiler's library of types does not have it yet.
    const entries = directory as unknown as { entries(): AsyncIterable<[string, FileSystemHandle]> } | null;
    for await (const [name, entry] of entries?.entries() ?? []) {
      if (entry.kind === "directory") {
        names.push(`${this.#folder}/${name}`);
      }
    }
    return names;
  }

  /** What the tab says that has the file open. */
  async #ask(name: string): Promise<KnownAccount | null> {
    const client = await open<T>({
      ...this.#defaults, name, account: { tenant: "", subject: "" }, token: "", startOffline: true,
    });
    try {
      const [{ pending, accepted }, account] = await Promise.all([client.outboxStatus(), client.account()]);
      return { account, unsent: pending + accepted };
    } finally {
      await client.close();
    }
  }

  async #remove(name: string): Promise<void> {
    const at = name.lastIndexOf("/");
    const [folder, last] = [name.slice(0, at), name.slice(at + 1)];
    try {
      await locked(name, async () => {
        const directory = await directoryOf(`${ROOT}/${folder}`);
        await removed(directory, last);
      });
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      throw new LandfallError(typeof code === "string" ? code : ACCOUNT_FILES, message);
    }
  }
}

/** Remove an entry, again as long as the browser has not let go of its files. */
async function removed(directory: FileSystemDirectoryHandle | null, name: string): Promise<void> {
  for (let tried = 1; directory !== null; tried += 1) {
    try {
      return await directory.removeEntry(name, { recursive: true });
    } catch (error) {
      if ((error as DOMException).name === "NotFoundError") {
        return;
      }
      if (tried === REMOVE_TRIES) {
        throw new LandfallError(ACCOUNT_FILES, "A file of an account could not be removed.");
      }
      await new Promise((resolve) => setTimeout(resolve, REMOVE_PAUSE_MS));
    }
  }
}

/** A directory of the origin's private files; `null` if it is not there. */
export async function directoryOf(path: string): Promise<FileSystemDirectoryHandle | null> {
  let directory = await navigator.storage.getDirectory();
  try {
    for (const name of path.split("/")) {
      directory = await directory.getDirectoryHandle(name);
    }
    return directory;
  } catch {
    return null;
  }
}

/** Have a worker of its own do something. */
export function inWorker<R>(task: Task): Promise<R> {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  return new Promise<R>((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<{ answer: Answer }>) => {
      const { answer } = data;
      if ("error" in answer) {
        reject(new LandfallError(answer.error.code, answer.error.message));
      } else {
        resolve(answer.value as R);
      }
    };
    worker.onerror = (error) => reject(new LandfallError(ACCOUNT_FILES, error.message));
    worker.postMessage({ task });
  }).finally(() => worker.terminate());
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
