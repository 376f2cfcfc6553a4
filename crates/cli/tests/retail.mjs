// An independent computation of what `landfall replay retail` must print, from the CSV alone.
// Usage: node retail.mjs FILE.csv[.gz]
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

let bytes = readFileSync(process.argv[2]);
if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = gunzipSync(bytes);

function* records(text) {
  let row = [], field = "", quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') { field += '"'; i++; }
      else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === ",") { row.push(field); field = ""; }
    else if (c === "\n") { row.push(field); yield row; row = []; field = ""; }
    else if (c !== "\r") field += c;
  }
  if (field || row.length) { row.push(field); yield row; }
}

let lines = 0n, quantity = 0n, milli = 0n;
const stock = new Map();
let header = true;
for (const row of records(bytes.toString("utf8"))) {
  if (header) { header = false; continue; }
  const [, code, , q, , price] = row;
  const [whole, fraction = ""] = price.split(".");
  const n = BigInt(q);
  lines += 1n;
  quantity += n;
  milli += n * BigInt(whole + fraction.padEnd(3, "0"));
  stock.set(code, (stock.get(code) ?? 0n) + n);
}
const codes = [...stock.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
const listing = codes.map((c) => `${c},${stock.get(c)}\n`).join("");
const sign = milli < 0n ? "-" : "", size = milli < 0n ? -milli : milli;
console.log(JSON.stringify({
  lines: Number(lines),
  quantity: Number(quantity),
  revenue: `${sign}${size / 1000n}.${String(size % 1000n).padStart(3, "0")}`,
  stock_sha256: createHash("sha256").update(listing).digest("hex"),
}));
