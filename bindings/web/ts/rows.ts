// Carrying changes out on a list of rows, as a screen does.

import type { RowChange } from "./values.js";

/** The rows after the changes. */
export function apply<Row>(rows: readonly Row[], changes: readonly RowChange<Row>[]): Row[] {
  const old: (Row | undefined)[] = [...rows];
  const placed: [number, Row][] = [];
  for (const change of changes) {
    if (change.kind === "remove") {
      old[change.old] = undefined;
    } else if (change.kind === "insert") {
      placed.push([change.new, change.row]);
    } else if (change.kind === "move") {
      placed.push([change.new, old[change.old] as Row]);
      old[change.old] = undefined;
    }
  }
  const now = old.filter((row): row is Row => row !== undefined);
  placed.sort(([a], [b]) => a - b);
  for (const [at, row] of placed) {
    now.splice(at, 0, row);
  }
  for (const change of changes) {
    if (change.kind === "update") {
      now[change.new] = change.row;
    }
  }
  return now;
}
