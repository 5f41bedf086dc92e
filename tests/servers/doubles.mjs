// A stdio MCP server whose ids are doubles, as all numbers of JavaScript are. Its tools run and are done when they are
// told so by `notifications/done`; whatever it does not know it answers at once with an error.
import { appendFileSync } from "node:fs";
import { createInterface } from "node:readline";

const log = process.argv[2];
const running = [];
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (method === "initialize") {
    const serverInfo = { name: "doubles", version: "1" };
    say({ id, result: { protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo } });
  } else if (method === "tools/list") {
    say({ id, result: { tools: ["limited", "risky"].map((name) => ({ name, inputSchema: { type: "object" } })) } });
  } else if (method === "tools/call") {
    appendFileSync(log, params.name + "\n");
    running.push(id);
  } else if (method === "notifications/done") {
    for (const done of running.splice(0)) say({ id: done, result: { content: [] } });
  } else if (id !== undefined) {
    say({ id, error: { code: -32601, message: "Method not found" } });
  }
}
