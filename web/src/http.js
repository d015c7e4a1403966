// Files of the store over HTTP. Every answer is the bytes that were asked for, or an error in a sentence.
//
// zarrita takes a missing file for fill values, and the whole file for a part of it. So neither gets that far.

/** Something of the store cannot be read. The message is a sentence for people; `file` is the place in the store. */
export class Unreadable extends Error {
  constructor(message, file) {
    super(message);
    this.name = "Unreadable";
    this.file = file;
  }
}

/** A store for zarrita: keys are paths from the root of the Zarr store. */
export class HttpStore {
  constructor(base) {
    this.base = base;
  }

  async get(key, options = {}) {
    const file = key.replace(/^\//, "");
    const answer = await this.#ask(file, {}, options.signal);
    if (answer.status !== 200) throw refused(answer.status, file);
    return body(answer, file);
  }

  async getRange(key, range, options = {}) {
    const file = key.replace(/^\//, "");
    const wanted =
      "suffixLength" in range ? `-${range.suffixLength}` : `${range.offset}-${range.offset + range.length - 1}`;
    const answer = await this.#ask(file, { Range: `bytes=${wanted}` }, options.signal);
    if (answer.status !== 206) {
      await answer.body?.cancel();
      if (answer.status === 200) {
        throw new Unreadable("the server does not answer a Range request as it should (status 200, not 206)", file);
      }
      throw answer.status === 416 ? new Unreadable("the file is shorter than its index says", file) : refused(answer.status, file);
    }
    checkRange(answer.headers.get("Content-Range"), range, file);
    const bytes = await body(answer, file);
    const length = "suffixLength" in range ? range.suffixLength : range.length;
    if (bytes.length !== length) {
      throw new Unreadable(`the server sends ${bytes.length} bytes in place of ${length}`, file);
    }
    return bytes;
  }

  async #ask(file, headers, signal) {
    try {
      return await fetch(new URL(file, this.base), { headers, signal, credentials: "same-origin", redirect: "error" });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Unreadable("the server does not answer", file);
    }
  }
}

function refused(status, file) {
  return new Unreadable(status === 404 ? "the file is missing" : `the server answers with status ${status}`, file);
}

async function body(answer, file) {
  try {
    return new Uint8Array(await answer.arrayBuffer());
  } catch {
    throw new Unreadable("the connection broke off", file);
  }
}

function checkRange(found, range, file) {
  const parts = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(found ?? "");
  const [first, last, size] = parts ? parts.slice(1).map(Number) : [];
  const right =
    parts &&
    ("suffixLength" in range
      ? last === size - 1 && first === size - range.suffixLength
      : first === range.offset && last === range.offset + range.length - 1);
  if (!right) {
    throw new Unreadable(`the server sends another range than asked (Content-Range: ${found ?? "none"})`, file);
  }
}
