// node build.mjs [FOLDER]: bundles the page into FOLDER, by default that of the package. The same input gives the same bytes.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "../s2ct_convert/viewer/page");
mkdirSync(out, { recursive: true });

// zarrita names decoders that no store of s2ct needs, and src/codecs.js takes out of its registry; they stay out of the bundle.
const unused = {
  "./codecs/bitround.js": "BitroundCodec", "./codecs/cast_value.js": "CastValueCodec", "./codecs/crc32c.js": "Crc32cCodec",
  "./codecs/delta.js": "DeltaCodec", "./codecs/gzip.js": "GzipCodec", "./codecs/json2.js": "JsonCodec",
  "./codecs/scale_offset.js": "ScaleOffsetCodec", "./codecs/shuffle.js": "ShuffleCodec", "./codecs/transpose.js": "TransposeCodec",
  "./codecs/vlen-utf8.js": "VLenUTF8", "./codecs/zlib.js": "ZlibCodec", "numcodecs/lz4": "default", "numcodecs/zstd": "default",
};
const none = { name: "none", setup(on) {
  on.onResolve({ filter: /./ }, ({ path }) => (path in unused ? { path, namespace: "none" } : undefined));
  on.onLoad({ filter: /./, namespace: "none" }, ({ path }) => ({ contents: `const none = undefined; export { none as ${unused[path]} };` }));
} };
const options = { bundle: true, minify: true, format: "esm", target: "es2022", charset: "utf8", write: false, absWorkingDir: here };
const script = await build({ ...options, entryPoints: ["src/main.js"], plugins: [none], legalComments: "none", metafile: true });
writeFileSync(join(out, "app.js"), script.outputFiles[0].contents);

const style = (await build({ ...options, entryPoints: ["src/style.css"] })).outputFiles[0].text.trim();
const hash = createHash("sha256").update(style).digest("base64");
const page = readFileSync(join(here, "index.html"), "utf8").replace("STYLE_HASH", `sha256-${hash}`).replace("STYLE", () => style);
writeFileSync(join(out, "index.html"), page);

// The licences of the packages of which something is in the bundle.
const inside = Object.values(script.metafile.outputs).flatMap((one) => Object.entries(one.inputs));
const names = inside.filter(([, { bytesInOutput }]) => bytesInOutput).map(([path]) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]);
const texts = [...new Set(names)].filter(Boolean).sort().map((name) => {
  const text = readFileSync(join(here, "node_modules", name, "LICENSE"), "utf8");
  return `${name}\n\n${text.trim()}\n`;
});
const compiled = `numcodecs holds the decoders of C-Blosc (BSD 3-clause), LZ4 (BSD 2-clause), Zstandard (BSD 3-clause), zlib
and Snappy (BSD 3-clause), compiled to WebAssembly.
`;
writeFileSync(join(out, "LICENSES.txt"), ["app.js contains parts of these programs.\n", ...texts, compiled].join("\n----\n\n"));
