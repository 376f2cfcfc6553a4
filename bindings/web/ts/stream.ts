// What happens, as an async iterator: it begins with the first `next`, and ends when the loop over
// it is left, when its signal is aborted, or when the client is closed.

/** Where the values of a stream come from; the answer stops them. */
export type Source<T> = (stream: Sink<T>) => () => void;

/** What a source has to say. */
export interface Sink<T> {
  push(value: T): void;
  fail(error: unknown): void;
}

interface Options {
  /** A slow reader sees the newest value only, instead of each one in turn. */
  newest: boolean;
  signal?: AbortSignal | undefined;
  /** Called once, when nothing more will come. */
  ended: () => void;
}

interface Reader<T> {
  resolve: (result: IteratorResult<T, undefined>) => void;
  reject: (error: unknown) => void;
}

export class Stream<T> implements AsyncIterableIterator<T, undefined>, Sink<T> {
  readonly #source: Source<T>;
  readonly #options: Options;
  readonly #abort = () => this.fail(this.#options.signal?.reason);
  #stop: (() => void) | null = null;
  #kept: T[] = [];
  #readers: Reader<T>[] = [];
  /** Nothing more will come; an error that nobody was told yet. */
  #over: { error?: unknown } | null = null;

  constructor(source: Source<T>, options: Options) {
    this.#source = source;
    this.#options = options;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    this.#begin();
    return new Promise((resolve, reject) => {
      if (this.#kept.length > 0) {
        resolve({ done: false, value: this.#kept.shift() as T });
      } else if (this.#over === null) {
        this.#readers.push({ resolve, reject });
      } else if ("error" in this.#over) {
        const { error } = this.#over;
        this.#over = {};
        reject(error);
      } else {
        resolve({ done: true, value: undefined });
      }
    });
  }

  /** Left early: nothing more is wanted. */
  async return(): Promise<IteratorResult<T, undefined>> {
    this.#kept = [];
    this.end();
    return { done: true, value: undefined };
  }

  push(value: T): void {
    if (this.#over !== null) {
      return;
    }
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value });
    } else if (this.#options.newest) {
      this.#kept = [value];
    } else {
      this.#kept.push(value);
    }
  }

  /** What was said before is still read, unless the reader itself gave up. */
  fail(error: unknown): void {
    if (this.#options.signal?.aborted === true) {
      this.#kept = [];
    }
    this.#finish({ error });
  }

  end(): void {
    this.#finish({});
  }

  #begin(): void {
    if (this.#stop !== null || this.#over !== null) {
      return;
    }
    const { signal } = this.#options;
    if (signal?.aborted === true) {
      this.fail(signal.reason);
      return;
    }
    signal?.addEventListener("abort", this.#abort, { once: true });
    this.#stop = this.#source(this);
  }

  #finish(over: { error?: unknown }): void {
    if (this.#over !== null) {
      return;
    }
    const readers = this.#readers;
    this.#readers = [];
    const first = "error" in over ? readers.shift() : undefined;
    // An error is told once.
    this.#over = first === undefined ? over : {};
    first?.reject(over.error);
    readers.forEach(({ resolve }) => resolve({ done: true, value: undefined }));
    this.#options.signal?.removeEventListener("abort", this.#abort);
    this.#stop?.();
    this.#options.ended();
  }
}
