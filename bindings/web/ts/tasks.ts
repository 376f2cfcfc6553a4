// What a worker does with files that no client has open, under their locks.

import init, { claimAccount, knownAccount, rescueFile } from "../wasm/landfall_web.js";
import { ACCOUNT_FILES, fileLock, locked } from "./locks.js";
import type { Answer, Task } from "./messages.js";
import { patiently } from "./owner.js";
import type { KnownAccount } from "./values.js";

/** A folder's account; `null` if it has none, "open" if a tab has it open. */
export type Found = KnownAccount | null | "open";

export async function carryOut(task: Task): Promise<Answer> {
  try {
    await init();
    return { id: 0, value: await done(task) };
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return { id: 0, error: { code: code ?? ACCOUNT_FILES, message } };
  }
}

function done(task: Task): Promise<unknown> {
  if ("known" in task) {
    return known(task.known);
  }
  if ("claim" in task) {
    return claim(task.claim);
  }
  const { folder } = task.rescue;
  return locked(folder, () => patiently(() => rescueFile(folder)));
}

async function known({ folders, schema }: Extract<Task, { known: unknown }>["known"]): Promise<Found[]> {
  const found: Found[] = [];
  for (const folder of folders) {
    const look = (lock: Lock | null): Promise<Found> | "open" =>
      lock === null ? "open" : patiently(() => knownAccount(folder, schema) as Promise<Found>);
    found.push(await navigator.locks.request(fileLock(folder), { ifAvailable: true }, look));
  }
  return found;
}

function claim({ from, to, schema }: Extract<Task, { claim: unknown }>["claim"]): Promise<number> {
  return locked(from.folder, () =>
    locked(to.folder, () => patiently(() => claimAccount(from, to, schema))));
}
