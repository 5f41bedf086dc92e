// Reads JSON messages, one in base64 per line, as a server on Node would, and says what each is.
// Numbers as written, where Node tells (from 21 on), else as Node has rounded them.
import { createInterface } from "node:readline";

const written = (_key, value, context) => (typeof value === "number" ? { "#": context?.source ?? String(value) } : value);

for await (const line of createInterface({ input: process.stdin })) {
  const text = new TextDecoder().decode(Buffer.from(line, "base64"));
  let told = null;
  try {
    told = { read: JSON.parse(text, written) };
  } catch {}
  process.stdout.write(JSON.stringify(told) + "\n");
}
