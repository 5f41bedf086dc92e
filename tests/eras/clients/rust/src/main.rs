//! rmcp as a client; foreign.py has the forms of task and answer.

use std::{collections::HashMap, error::Error, io};

use rmcp::{
    ClientLifecycleMode, ClientServiceExt,
    model::{CallToolRequestParams, JsonObject, ProtocolVersion},
    service::{RoleClient, RunningService},
    transport::{
        StreamableHttpClientTransport, TokioChildProcess,
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Task {
    #[serde(default)]
    url: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    env: HashMap<String, String>,
    mode: String,
    calls: Vec<(String, JsonObject)>,
}

#[derive(Serialize)]
struct Answer {
    text: String,
    error: bool,
}

#[derive(Serialize)]
struct Shown {
    revision: String,
    tools: Vec<String>,
    answers: Vec<Answer>,
}

async fn connected(task: &Task) -> Result<RunningService<RoleClient, ()>, Box<dyn Error>> {
    let mode = if task.mode == "legacy" {
        ClientLifecycleMode::Initialize
    } else {
        ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: None,
        }
    };
    if let Some((program, arguments)) = task.command.split_first() {
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).envs(&task.env);
        return Ok(().serve_with_lifecycle(TokioChildProcess::new(command)?, mode).await?);
    }
    let config = StreamableHttpClientTransportConfig::with_uri(task.url.as_str())
        .auth_header(task.token.as_str());
    let transport = StreamableHttpClientTransport::from_config(config);
    Ok(().serve_with_lifecycle(transport, mode).await?)
}

async fn told(task: Task) -> Result<Shown, Box<dyn Error>> {
    let client = connected(&task).await?;
    let revision = client.peer().peer_info().map(|info| info.protocol_version.to_string());
    let tools = client.list_all_tools().await?;
    let mut answers = Vec::new();
    for (tool, arguments) in task.calls {
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        let result = client.call_tool(params).await?;
        let text = result.content.iter().filter_map(|part| part.as_text());
        answers.push(Answer {
            text: text.map(|part| part.text.as_str()).collect(),
            error: result.is_error == Some(true),
        });
    }
    client.cancel().await?;
    Ok(Shown {
        revision: revision.unwrap_or_default(),
        tools: tools.into_iter().map(|tool| tool.name.into()).collect(),
        answers,
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let shown = told(serde_json::from_reader(io::stdin())?).await?;
    serde_json::to_writer(io::stdout(), &shown)?;
    Ok(())
}
