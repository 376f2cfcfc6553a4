// What the compiler lets an app write, and what it does not. It is compiled, and never run: a line that
// is expected to be wrong and is not fails the compilation.

import { open, type OpenOptions } from "../dist/index.js";
import type { Published, Transaction } from "../dist/transaction.js";
import type { Tables } from "../../../target/web/desk/schema.js";

export async function app(options: OpenOptions): Promise<void> {
  const client = await open<Tables>(options);
  await client.upsert("Note", "n-1", { title: "Tea", tea: "t-1" });
  await client.transaction().update("Note", "n-1", { title: null }).increment("Note", "n-1", "stars", 1).commit();

  // A shared type is read like others,
  const tea = await client.get("Tea", "t-1");
  const name: string | undefined = tea?.name;
  const [found] = await client.search("Tea", name ?? "", { within: ["name"] });
  const minutes: number | null | undefined = found?.minutes;
  for await (const rows of client.observeSearch("Tea", "sencha")) console.log(rows, minutes);
  await client.explain("Tea", "t-1");
  await client.pin("Tea", "teas", "t-1");

  // and nothing writes it.
  // @ts-expect-error
  await client.upsert("Tea", "t-1", { name: "Mine" });
  // @ts-expect-error
  await client.update("Tea", "t-1", { name: "Mine" });
  // @ts-expect-error
  await client.delete("Tea", "t-1");
  // @ts-expect-error
  await client.restore("Tea", "teas", "t-1");
  // @ts-expect-error
  await client.text("Tea", "t-1", "name");
  // @ts-expect-error
  client.transaction().upsert("Tea", "t-1", { name: "Mine" });
  // @ts-expect-error
  client.transaction().delete("Tea", "t-1");

  // Not searched.
  // @ts-expect-error
  await client.search("Board", "tea");
}

/** As the testkit's `writeAsOthers` writes. */
export function publisher(transaction: Transaction<Published<Tables>>): void {
  transaction.upsert("Tea", "t-1", { name: "Sencha" }).upsert("Note", "n-1", { title: "Tea" });
  // @ts-expect-error
  transaction.upsert("Tea", "t-1", { name: 2 });
}

/** Without types of a schema, everything is offered. */
export async function untyped(options: OpenOptions): Promise<void> {
  const client = await open(options);
  await client.upsert("Anything", "a-1", { at: 1 });
  await client.restore("Anything", "all", "a-1");
}
