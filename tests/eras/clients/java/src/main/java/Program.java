import io.modelcontextprotocol.client.McpClient;
import io.modelcontextprotocol.client.transport.HttpClientStreamableHttpTransport;
import io.modelcontextprotocol.client.transport.ServerParameters;
import io.modelcontextprotocol.client.transport.StdioClientTransport;
import io.modelcontextprotocol.json.McpJsonDefaults;
import io.modelcontextprotocol.spec.McpClientTransport;
import io.modelcontextprotocol.spec.McpSchema.CallToolRequest;
import io.modelcontextprotocol.spec.McpSchema.CallToolResult;
import io.modelcontextprotocol.spec.McpSchema.TextContent;
import io.modelcontextprotocol.spec.McpSchema.Tool;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** The Java SDK as a client, which speaks the legacy era only; foreign.py has the forms of task and answer. */
public class Program {
    record Answer(String text, boolean error) {}

    record Shown(String revision, List<String> tools, List<Answer> answers) {}

    @SuppressWarnings("unchecked")
    static McpClientTransport transport(Map<String, Object> task) {
        if (task.containsKey("command")) {
            List<String> command = (List<String>) task.get("command");
            ServerParameters parameters = ServerParameters.builder(command.get(0))
                    .args(command.subList(1, command.size()))
                    .env((Map<String, String>) task.get("env"))
                    .build();
            return new StdioClientTransport(parameters, McpJsonDefaults.getMapper());
        }
        URI url = URI.create((String) task.get("url"));
        return HttpClientStreamableHttpTransport.builder(url.getScheme() + "://" + url.getAuthority())
                .endpoint(url.getPath())
                .httpRequestCustomizer((request, method, uri, body, context) ->
                        request.header("Authorization", "Bearer " + task.get("token")))
                .build();
    }

    static Answer answer(CallToolResult result) {
        String text = result.content().stream()
                .map(part -> part instanceof TextContent said ? said.text() : "")
                .collect(Collectors.joining());
        return new Answer(text, Boolean.TRUE.equals(result.isError()));
    }

    @SuppressWarnings("unchecked")
    public static void main(String[] arguments) throws Exception {
        Map<String, Object> task = McpJsonDefaults.getMapper().readValue(System.in.readAllBytes(), Map.class);
        try (var client = McpClient.sync(transport(task)).build()) {
            String revision = client.initialize().protocolVersion();
            List<String> tools = client.listTools().tools().stream().map(Tool::name).toList();
            List<Answer> answers = new ArrayList<>();
            for (List<Object> call : (List<List<Object>>) task.get("calls")) {
                Map<String, Object> given = (Map<String, Object>) call.get(1);
                answers.add(answer(client.callTool(new CallToolRequest((String) call.get(0), given))));
            }
            System.out.println(McpJsonDefaults.getMapper().writeValueAsString(new Shown(revision, tools, answers)));
        }
    }
}
