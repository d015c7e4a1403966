// The codecs that s2ct writes, in zarrita's registry. CRC-32C is verified, which zarrita's own codec does not do.

import { decompress } from "fzstd";
import Blosc from "numcodecs/blosc";
import { registry } from "zarrita";
import { crc32c } from "./crc32c.js";

class Crc32c {
  kind = "bytes_to_bytes";

  static fromConfig() {
    return new Crc32c();
  }

  encode() {
    throw new Error("this page writes nothing");
  }

  decode(bytes) {
    const size = bytes.length - 4;
    if (size < 0) throw new Error("too short for a CRC-32C");
    const stored = new DataView(bytes.buffer, bytes.byteOffset + size, 4).getUint32(0, true);
    if (crc32c(bytes.subarray(0, size)) !== stored) throw new Error("CRC-32C does not match");
    return bytes.subarray(0, size);
  }

  computeEncodedSize(size) {
    return size + 4;
  }
}

class Zstd {
  kind = "bytes_to_bytes";

  static fromConfig() {
    return new Zstd();
  }

  encode() {
    throw new Error("this page writes nothing");
  }

  decode(bytes) {
    return decompress(bytes);
  }
}

for (const name of [...registry.keys()]) {
  if (!["bytes", "blosc"].includes(name)) registry.delete(name);
}
registry.set("blosc", () => Blosc);
registry.set("crc32c", () => Crc32c);
registry.set("zstd", () => Zstd);
