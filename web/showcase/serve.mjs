// The page with three regions behind it, all on loopback:  node web/showcase/serve.mjs [PORT]
//
// The regions' files lie in a temporary directory and go when this ends.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");
const PAGE = "/web/showcase/";
/** What the page is made of; nothing else of the repository is served. */
const SERVED = [PAGE, "/bindings/web/dist/", "/bindings/web/wasm/"];
const TYPES = {
  ".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".json": "application/json", ".wasm": "application/wasm",
};
const DRIVERS = [["ann", "Ann"], ["bob", "Bob"]];

/** Start regions and page; `port` 0 is any that is free. */
export async function serve(port) {
  const landfall = process.env.LANDFALL ?? join(ROOT, "target/debug/landfall");
  const dir = await mkdtemp(join(tmpdir(), "landfall-showcase-"));
  const schema = join(import.meta.dirname, "schema.graphql");
  const args = ["dev", "--json", "--no-phones", "--port", "0", "--schema", schema, "--dir", dir];
  const world = spawn(landfall, args, { stdio: ["ignore", "pipe", "inherit"] });
  let line = "";
  for await (const chunk of world.stdout) {
    line += chunk;
    if (line.includes("\n")) {
      break;
    }
  }
  const { regions } = JSON.parse(line);
  const token = (subject) =>
    execFileSync(landfall, ["token", "--dir", dir, "--subject", subject, "--scope", "*"], { encoding: "utf8" }).trim();
  const phones = DRIVERS.map(([subject, title]) => ({ subject, title, token: token(subject) }));
  const server = createServer((request, response) => answer(request, response, JSON.stringify({ regions, phones })));
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const stop = async () => {
    server.close();
    world.kill("SIGTERM");
    await once(world, "exit");
    await rm(dir, { recursive: true, force: true });
  };
  return { url: `http://127.0.0.1:${server.address().port}${PAGE}`, stop };
}

async function answer(request, response, config) {
  try {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
    const file = path === PAGE ? `${PAGE}index.html` : path;
    if (!SERVED.some((folder) => file.startsWith(folder))) {
      throw new Error("not a part of the page");
    }
    const body = file === `${PAGE}config.json` ? config : await readFile(join(ROOT, file));
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "text/plain" });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
}

if (process.argv[1] === import.meta.filename) {
  const { url, stop } = await serve(Number(process.argv[2] ?? 7300));
  console.log(`two phones: ${url}   (Ctrl-C ends it)`);
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => void stop().then(() => process.exit(0)));
  }
}
