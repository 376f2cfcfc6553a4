// What a test needs around the browser: regions, a web server, and the browser itself. All of it
// listens on loopback, and ends with the test.

import { execFileSync, spawn } from "node:child_process";
import { createServer } from "node:http";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { extname, join, normalize, resolve } from "node:path";
import { once } from "node:events";

const PACKAGE = resolve(import.meta.dirname, "..");
const ROOT = resolve(PACKAGE, "../..");
export const SCHEMA = await readFile(join(ROOT, "examples/shop/schema.graphql"), "utf8");
const DESK_FILE = join(ROOT, "bindings/test/desk.graphql");
export const DESK = await readFile(DESK_FILE, "utf8");

/** Regions with the desk's schema. */
export const startDesk = () => startWorld("--schema", DESK_FILE);

/** Three regions, as `landfall dev` starts them, and tokens for them. */
export async function startWorld(...more) {
  const binary = process.env.LANDFALL ?? join(ROOT, "target/debug/landfall");
  const dir = await mkdtemp(join(tmpdir(), "landfall-web-"));
  const args = ["dev", "--json", "--no-phones", "--wan", "none", "--port", "0", "--dir", dir, ...more];
  const child = spawn(binary, args, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  for await (const chunk of child.stdout) {
    text += chunk;
    if (text.includes("\n")) {
      break;
    }
  }
  const { regions } = JSON.parse(text);
  const token = (subject, scopes = "*") => execFileSync(
    binary, ["token", "--dir", dir, "--subject", subject, "--scope", scopes, "--audience", "*"], { encoding: "utf8" }).trim();
  const stop = async () => {
    child.kill("SIGTERM");
    await once(child, "exit");
    await rm(dir, { recursive: true, force: true });
  };
  const publish = async (type, rows) => {
    const file = join(dir, "rows.ndjson");
    await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    execFileSync(binary, ["import", type, file, "--dir", dir], { stdio: "ignore" });
  };
  return { regions, token, stop, publish, guide: () => startGuide(binary, dir, regions) };
}

/** A region that hands out a signed list, which names one of the others and not itself. */
async function startGuide(binary, dir, regions) {
  const place = join(dir, "guide");
  await mkdir(place, { recursive: true });
  const [{ name, url }] = regions.slice(1);
  await writeFile(join(place, "schema.graphql"), SCHEMA);
  await writeFile(join(place, "regions.json"), JSON.stringify({ version: 1, regions: [{ name, urls: [url] }] }));
  const said = (...args) =>
    execFileSync(binary, ["directory", ...args, "--key", join(place, "directory.key")], { encoding: "utf8" }).trim();
  await writeFile(join(place, "regions.jws"), said("sign", join(place, "regions.json")));
  await writeFile(join(place, "region.toml"), `
    region = 9
    name = "guide"
    schema = "schema.graphql"
    data_dir = "data"
    listen = "127.0.0.1:0"
    copies = 1
    peer_key = "peer.key"
    dev_key = "${join(dir, "dev.key")}"
    directory = "regions.jws"
  `);
  const args = ["region", "--config", join(place, "region.toml"), "--with-parent"];
  const child = spawn(binary, args, { stdio: ["pipe", "pipe", "ignore"] });
  let text = "";
  for await (const chunk of child.stdout) {
    text += chunk;
    if (text.includes("\n")) {
      break;
    }
  }
  const stop = async () => {
    child.kill("SIGTERM");
    await once(child, "exit");
  };
  return { region: { name: "guide", url: text.match(/http:\/\/\S+/)[0] }, key: said("key"), stop };
}

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };

/** The package's own files. */
export async function servePackage() {
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
    try {
      const body = await readFile(join(PACKAGE, path));
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "text/plain" });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${server.address().port}/test/page.html`, stop: () => server.close() };
}

/** A Chromium without a screen. */
export async function startBrowser() {
  const require = createRequire(join(ROOT, "target/web/package.json"));
  const { chromium } = require("playwright-core");
  const args = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ];
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
}
