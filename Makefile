# Two ways in:  make run  starts Landfall;  make test  is everything that must pass.
#
# Both need Rust (cargo) and a C compiler; where the compiler is missing they install it with
# apt-get, by name, and say so. `make test` also tests the Kotlin SDK where npm is there to bring the
# Kotlin compiler, and installs a JDK and JNA in the same way. Nothing else is installed, and nothing
# outside target/ and .landfall/ is written.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test tools fmt-check clippy built unit sim replay kotlin kotlin-if-it-can swift fuzz \
  web web-release web-testkit web-tools showcase
# One step after the other, also under `make -j`: cargo uses all cores by itself.
.NOTPARALLEL:

# Where rustup puts cargo, for shells that do not have it on their path yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

# Arguments for `landfall dev`:  make run ARGS="--help"
ARGS ?=
# The simulated worlds that `make test` runs, from seed 0 on. More:  make sim SEEDS=10000
SEEDS ?= 200
# A few hundred order lines, made for this repository.
RETAIL_SAMPLE ?= examples/shop/retail-sample.csv

# On a terminal cargo shows its progress; in a log it would be hundreds of lines.
QUIET := $(shell test -t 2 || echo --quiet)
LANDFALL := cargo run --release --locked $(QUIET) -p landfall --
# What is tried is built in less time, and is not as fast: see the profile in Cargo.toml.
QUICK := cargo run --profile quick --locked $(QUIET) -p landfall --

# A Rust without these two still builds and tests; what was skipped is said at the end.
HAS_FMT = cargo fmt --version >/dev/null 2>&1
HAS_CLIPPY = cargo clippy --version >/dev/null 2>&1

define step
@printf '\n==> %s  %s\n' "$$(date +%H:%M:%S)" "$(1)"
endef

help:
	@echo 'make run     build Landfall and start it:  landfall dev'
	@echo 'make test    everything that must pass: format, lints, tests, simulator, replay, Kotlin'
	@echo
	@echo 'make kotlin  build the Kotlin SDK for the JVM and test it (installs what it needs, by name)'
	@echo 'make swift   build the Swift SDK on Linux and test it (needs Swift 6.0; installs nothing)'
	@echo 'make fuzz    look for inputs that break a decoder, guided by coverage (needs a C++ compiler)'
	@echo 'make web     build the web client and test it in Chromium (installs what that needs)'
	@echo 'make web-release  build it as small as it gets, and say how small'
	@echo 'make showcase     two phones in a browser page, driven, with pictures in target/showcase'
	@echo 'make web-testkit  build the testkit for JavaScript and test it in node'
	@echo
	@echo 'Parts of make test:  fmt-check  built  unit  sim [SEEDS=n]  replay  kotlin'

run: tools
	$(call step,building target/quick/landfall (the first build takes a few minutes))
	@cargo build --profile quick --locked $(QUIET) -p landfall
	$(call step,landfall dev $(ARGS))
	@$(QUICK) dev $(ARGS)

test: tools fmt-check built unit sim replay kotlin-if-it-can
	$(call step,all passed)
	@bindings/kotlin/run-tests has || echo 'but the Kotlin SDK was not tested: what it needs cannot be had here'
	@$(HAS_FMT) || echo 'but the formatting was not checked: this Rust has no rustfmt'
	@$(HAS_CLIPPY) || echo 'but the lints were not checked: this Rust has no clippy'

fmt-check: tools
	$(call step,formatting: cargo fmt --check)
	@if $(HAS_FMT); then cargo fmt --all --check; else echo 'SKIPPED: this Rust has no rustfmt'; fi

# The Kotlin tests use the testkit; a library that ships is built without it.
FEATURES := --features landfall-ffi/testkit

# The lints alone, for a change at hand; `make test` has them from the build of the tests.
clippy: tools
	$(call step,lints: cargo clippy)
	@cargo clippy --workspace --all-targets $(FEATURES) --locked $(QUIET) -- -D warnings

# Every crate of the workspace is linted while it is compiled: see .ci/lint.
LINTED := $(shell $(HAS_CLIPPY) && echo RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/.ci/lint)

built: tools
	$(call step,building the tests$(if $(LINTED), and linting them))
	@$(LINTED) cargo test --workspace $(FEATURES) --locked --no-run $(QUIET)

unit: built
	$(call step,tests: cargo test)
	@$(LINTED) cargo test --workspace $(FEATURES) --locked --no-fail-fast --quiet

# With the binary that the tests were built with: overflow and debug assertions are checked.
CHECKED = $${CARGO_TARGET_DIR:-target}/debug/landfall

sim: built
	$(call step,simulator: landfall sim --seeds $(SEEDS))
	@$(CHECKED) sim --seeds $(SEEDS)

replay: built
	$(call step,replay: landfall replay retail $(RETAIL_SAMPLE))
	@$(CHECKED) replay retail $(RETAIL_SAMPLE)

# Not a part of `make test`, which tries what is kept and changes to it: the first build takes some
# six minutes on two cores. `make fuzz SECONDS=600 TARGETS="op frame"` looks longer, and at these only.
SECONDS ?= 20
TARGETS ?=

fuzz: tools
	$(call step,looking for inputs that break a decoder: fuzz/run, $(SECONDS) s each)
	@SECONDS_EACH=$(SECONDS) fuzz/run $(TARGETS)

kotlin: built
	@bindings/kotlin/run-tests

kotlin-if-it-can: built
	@if bindings/kotlin/run-tests prepare; then bindings/kotlin/run-tests; \
	else echo 'SKIPPED: what the Kotlin SDK needs cannot be had here'; fi

# Not a part of `make test`: most machines have no Swift.
swift: built
	@bindings/swift/run-tests

# ---- the web client; not a part of `make test`: on a fresh clone its tools take too long ----

# Its tools. clang compiles SQLite and zstd for the browser; node and npm bring the TypeScript
# compiler and what drives the browser (into target/web); wasm-bindgen comes from cargo (into
# target/tools), in the version of the library.
WASM := wasm32-unknown-unknown
WEB_PACKAGES := clang llvm nodejs npm chromium
WASM_BINDGEN = target/tools/bin/wasm-bindgen
WASM_BINDGEN_VERSION = $$(sed -n '/^name = "wasm-bindgen"$$/{n;s/version = "\(.*\)"/\1/p;}' Cargo.lock)
TSC := node target/web/node_modules/typescript/bin/tsc

# $(1): the profile of the build; its folder has the same name.
define web-package
@cargo build --profile $(1) --target $(WASM) --locked $(QUIET) -p landfall-web
@$(WASM_BINDGEN) --target web --out-dir bindings/web/wasm target/$(WASM)/$(1)/landfall_web.wasm
@$(TSC) -p bindings/web
endef

web: web-tools built
	$(call step,building the client for the browser with checks (the first build takes some minutes))
	$(call web-package,web-test)
	$(call step,what the compiler lets an app write: bindings/web/test/types.ts)
	@$(CHECKED) generate typescript bindings/test/desk.graphql --out target/web/desk >/dev/null
	@$(TSC) -p bindings/web/test
	$(call step,tests in a browser: node bindings/web/test/browser.mjs)
	@node bindings/web/test/browser.mjs

web-release: tools web-tools
	$(call step,building the client for the browser (the first build takes several minutes))
	$(call web-package,web)
	@printf 'wasm: %s bytes, %s with gzip -9\n' "$$(wc -c < bindings/web/wasm/landfall_web_bg.wasm)" \
	  "$$(gzip -9 -c bindings/web/wasm/landfall_web_bg.wasm | wc -c)"
	@if command -v brotli >/dev/null; then printf 'wasm: %s bytes with brotli\n' \
	  "$$(brotli -c bindings/web/wasm/landfall_web_bg.wasm | wc -c)"; fi

# Drives the page and fails if the phones do not come to show the same. By hand:
# node web/showcase/serve.mjs
showcase: web-tools built
	$(call step,two phones in a page: web/showcase)
	$(call web-package,web-test)
	@$(CHECKED) generate typescript web/showcase/schema.graphql --out web/showcase/src
	@$(TSC) -p web/showcase
	@node web/showcase/drive.mjs

# The world for the tests of apps, as a module of its own: what a browser downloads has none of it.
# With TESTKIT_PROFILE=release it is without checks, and as fast as it gets.
TESTKIT_PROFILE ?= web-test

web-testkit: tools web-tools
	$(call step,building the testkit for JavaScript (the first build takes several minutes))
	@cargo build --profile $(TESTKIT_PROFILE) --target $(WASM) --locked $(QUIET) -p landfall-web --features testkit
	@$(WASM_BINDGEN) --target web --out-dir bindings/web/wasm-testkit target/$(WASM)/$(TESTKIT_PROFILE)/landfall_web.wasm
	@node target/web/node_modules/typescript/bin/tsc -p bindings/web/tsconfig.testkit.json
	$(call step,tests: node --test bindings/web/test/testkit.test.mjs)
	@node --test bindings/web/test/testkit.test.mjs

web-tools:
	$(call step,prerequisites of the web client: $(WEB_PACKAGES))
	@missing=''; for tool in clang llvm-ar node npm chromium; do \
	  command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -n "$$missing" ]; then \
	  echo "missing:$$missing; installing $(WEB_PACKAGES) with apt-get"; \
	  apt-get update -qq && env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends $(WEB_PACKAGES) >/dev/null; fi
	@rustup target list --installed | grep -qx $(WASM) || rustup target add $(WASM)
	@test -d target/web/node_modules/typescript -a -d target/web/node_modules/playwright-core || { \
	  echo 'installing typescript and playwright-core with npm, into target/web'; mkdir -p target/web; \
	  npm install --silent --no-audit --no-fund --prefix target/web typescript@5 playwright-core; }
	@$(WASM_BINDGEN) --version 2>/dev/null | grep -qF "$(WASM_BINDGEN_VERSION)" || { \
	  echo "installing wasm-bindgen-cli $(WASM_BINDGEN_VERSION) with cargo, into target/tools"; \
	  cargo install --quiet wasm-bindgen-cli --version "$(WASM_BINDGEN_VERSION)" --root target/tools; }

# Debian's names: gcc compiles SQLite and zstd and links the binary, libc6-dev has the C headers.
C_PACKAGES := gcc libc6-dev
APT_INSTALL := apt-get install -y -qq --no-install-recommends $(C_PACKAGES)
HAS_C = echo '\#include <stdio.h>' | cc -x c -fsyntax-only - >/dev/null 2>&1

tools:
	$(call step,prerequisites: Rust and a C compiler)
	@cargo --version || { echo 'cargo does not run: install Rust 1.89 or newer'; exit 1; }
	@if $(HAS_C); then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	  echo 'cc or the C headers are missing: install a C compiler with your package manager'; exit 1; fi; \
	if [ "$$(id -u)" -eq 0 ]; then as_root=''; \
	elif command -v sudo >/dev/null; then as_root='sudo'; \
	else echo 'A C compiler is missing. As root, run:  apt-get update && $(APT_INSTALL)'; exit 1; fi; \
	echo 'installing $(C_PACKAGES) with apt-get (SQLite and zstd are compiled from C)'; \
	$$as_root apt-get update -qq && \
	$$as_root env DEBIAN_FRONTEND=noninteractive $(APT_INSTALL) >/dev/null
