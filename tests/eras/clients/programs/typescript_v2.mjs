// The TypeScript SDK, version 2, as a client; foreign.py has the forms of task and answer.
import { text } from "node:stream/consumers";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const task = JSON.parse(await text(process.stdin));
const transport = task.command
  ? new StdioClientTransport({ command: task.command[0], args: task.command.slice(1), env: task.env })
  : new StreamableHTTPClientTransport(new URL(task.url), {
      requestInit: { headers: { Authorization: `Bearer ${task.token}` } },
    });
const client = new Client({ name: "typescript-v2", version: "1" }, { versionNegotiation: { mode: task.mode } });
await client.connect(transport);
const tools = (await client.listTools()).tools.map((tool) => tool.name);
const answers = [];
for (const [name, args] of task.calls) {
  const result = await client.callTool({ name, arguments: args });
  answers.push({ error: result.isError === true, text: result.content.map((part) => part.text ?? "").join("") });
}
const revision = client.getNegotiatedProtocolVersion();
await client.close();
console.log(JSON.stringify({ revision, tools, answers }));
