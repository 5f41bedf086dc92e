// The Go SDK as a client; foreign.py has the forms of task and answer.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"os/exec"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type task struct {
	URL, Token, Mode string
	Command          []string
	Env              map[string]string
	Calls            [][2]json.RawMessage
}

type answer struct {
	Text  string `json:"text"`
	Error bool   `json:"error"`
}

type shown struct {
	Revision string   `json:"revision"`
	Tools    []string `json:"tools"`
	Answers  []answer `json:"answers"`
}

type bearer string

func (token bearer) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+string(token))
	return http.DefaultTransport.RoundTrip(request)
}

func (t task) transport() mcp.Transport {
	if len(t.Command) == 0 {
		return &mcp.StreamableClientTransport{Endpoint: t.URL, HTTPClient: &http.Client{Transport: bearer(t.Token)}}
	}
	command := exec.Command(t.Command[0], t.Command[1:]...)
	for name, value := range t.Env {
		command.Env = append(command.Env, name+"="+value)
	}
	return &mcp.CommandTransport{Command: command}
}

func run(ctx context.Context, t task) (shown, error) {
	options := &mcp.ClientSessionOptions{}
	if t.Mode == "legacy" {
		options.ProtocolVersion = "2025-11-25"
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "go", Version: "1"}, nil)
	session, err := client.Connect(ctx, t.transport(), options)
	if err != nil {
		return shown{}, err
	}
	defer session.Close()
	found := shown{Revision: session.InitializeResult().ProtocolVersion}
	for tool, err := range session.Tools(ctx, nil) {
		if err != nil {
			return shown{}, err
		}
		found.Tools = append(found.Tools, tool.Name)
	}
	for _, call := range t.Calls {
		params := &mcp.CallToolParams{Arguments: call[1]}
		if err := json.Unmarshal(call[0], &params.Name); err != nil {
			return shown{}, err
		}
		result, err := session.CallTool(ctx, params)
		if err != nil {
			return shown{}, err
		}
		said := answer{Error: result.IsError}
		for _, part := range result.Content {
			if text, ok := part.(*mcp.TextContent); ok {
				said.Text += text.Text
			}
		}
		found.Answers = append(found.Answers, said)
	}
	return found, nil
}

func main() {
	var t task
	if err := json.NewDecoder(os.Stdin).Decode(&t); err != nil {
		log.Fatal(err)
	}
	found, err := run(context.Background(), t)
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		log.Fatal(err)
	}
}
