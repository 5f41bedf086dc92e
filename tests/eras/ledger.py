"""Every requirement of the gateway's contract with MCP: where it comes from, what it asks, and which tests hold it.

Knows no test by import; test_ledger.py holds it against the tests' own words, both ways.
Sources: `25` and `26` are MCP 2025-11-25 and 2026-07-28, `own` a decision of this project, `seen` measured.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement. `tests` are `path::function` below tests; `missing` says what of it is not built, and why."""

    source: str
    behaviour: str
    tests: tuple[str, ...] = ()
    missing: str = ""


def _in(path: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{path}.py::test_{name}" for name in names)


_MESSAGES = _in(
    "bypass/test_messages",
    "ambiguous_message_is_refused",
    "unusual_but_plain_call_reaches_the_server_as_it_is",
)
_LINES = _in("bypass/test_stdio", "lines_that_are_ambiguous_or_denied_reach_no_process_and_plain_ones_do")
_ERAS = _in(
    "bypass/test_headers",
    "era_that_is_not_clear_is_refused",
    "message_whose_headers_agree_passes_as_it_is",
)
_MISMATCHED = _in("bypass/test_headers", "header_that_differs_from_its_body_is_a_mismatch")
_FUZZ = _in(
    "bypass/test_fuzz",
    "readers_of_what_is_forwarded_read_what_opa_was_asked",
    "bent_messages_over_http_call_nothing_that_policy_denies",
)
_FRAMING = _in("bypass/test_framing", "request_with_a_foreign_header_is_refused")
_PAIRS = _in("eras/test_transports", "pair_lists_calls_denies_and_reports", "pair_cancels_at_the_server")
_LEGACY_PAIRS = _in("eras/test_transports", "pair_lets_a_server_of_the_legacy_era_ask_and_tell")
_RESUMED = _in("eras/test_transports", "pair_resumes_a_stream_that_the_server_closed")
_CLIENTS = _in("eras/clients/test_clients", "client_sees_what_is_shown_calls_what_is_allowed_and_reads_why_not")
_SERVERS = _in(
    "eras/clients/test_servers",
    "server_everything_fetches_nothing_that_policy_denies",
    "server_filesystem_writes_and_moves_nothing_that_policy_denies",
    "mcp_server_git_makes_no_branch_or_commit_that_policy_denies",
    "mcp_server_time_tells_only_the_zones_that_policy_allows",
)
_WAITED = _in("bypass/test_confirm", "call_that_waits_passes_once_approved_and_not_before") + _in(
    "eras/test_approvals", "call_waits_for_an_operator_and_others_do_not_wait_for_it"
)
_CONFIRMED = _in("eras/test_approvals", "call_is_confirmed_by_the_clients_own_user")

LEDGER: dict[str, Requirement] = {
    "G1": Requirement(
        "26 transports, Messages; own",
        "A body that is not one strict UTF-8 JSON text is refused with -32700.",
        _FUZZ
        + _LINES
        + _MESSAGES
        + _in("sidecar/core/test_strict", "read_strict_json_is_its_value", "read_anything_else_is_refused"),
    ),
    "G2": Requirement(
        "own; CVE-2026-27896, GHSA-q382-vc8q-7jhj",
        "Member names that occur twice, or only look like a known one, are refused.",
        _FUZZ
        + _LINES
        + _MESSAGES
        + _in("sidecar/core/test_strict", "read_anything_else_is_refused")
        + _in("sidecar/core/test_jsonrpc", "parse_anything_else_is_refused", "parse_legitimate_neighbours_pass")
        + _in("sidecar/core/test_names", "known_imitated_by_a_look_alike_says_so"),
    ),
    "G3": Requirement(
        "25 transports, Sending 3; 26 streamable-http, Sending 4; own",
        "Batches are refused.",
        _FUZZ + _LINES + _MESSAGES + _in("sidecar/core/test_jsonrpc", "parse_batch_is_its_own_error"),
    ),
    "G4": Requirement(
        "25 and 26 basic, Messages",
        "An id is a string or an integer; what has none is a notification; no message is two kinds at once.",
        _FUZZ
        + _LINES
        + _MESSAGES
        + _in(
            "sidecar/core/test_jsonrpc",
            "parse_id_of_either_type_is_kept",
            "parse_id_of_another_kind_is_refused",
            "parse_anything_else_is_refused",
        ),
    ),
    "G5": Requirement(
        "25 and 26 tools, Calling Tools",
        "params is an object; a tool call has a name and, if any, an object of arguments.",
        _FUZZ + _LINES + _MESSAGES + _in("sidecar/core/test_jsonrpc", "parse_anything_else_is_refused"),
    ),
    "G6": Requirement(
        "26 tools, Tool Names; own",
        "Tool names compare exactly; one of an unusual form is refused unless the server lists exactly it.",
        _FUZZ
        + _LINES
        + _MESSAGES
        + _in("bypass/test_messages", "call_against_the_policy_is_denied")
        + _in("sidecar/core/test_messages", "classify_odd_tool_name_passes_only_if_advertised")
        + _in("sidecar/test_probe", "odd_list_that_a_client_could_read_is_learnt_and_never_crashes"),
    ),
    "G7": Requirement(
        "25 and 26 transports, Sending 2",
        "A body is plain JSON of a bounded size, and Accept names both types.",
        _FRAMING
        + _in("bypass/test_framing", "body_without_end_is_refused_while_it_comes")
        + _in("sidecar/downstream/test_guard", "form_odd_post_is_refused", "form_usual_post_passes")
        + _in("sidecar/downstream/test_http", "body_is_bounded"),
    ),
    "G8": Requirement(
        "25 and 26 transports, Security Warning",
        "A foreign Origin or Host is refused, and Origin is not forwarded.",
        _FRAMING
        + _in("bypass/test_framing", "page_from_elsewhere_is_refused_by_every_method")
        + _in(
            "sidecar/downstream/test_guard",
            "place_foreign_odd_or_doubled_host_is_refused",
            "place_origin_that_is_not_allowed_is_refused",
            "place_own_host_passes",
        )
        + _in("sidecar/downstream/test_http", "call_headers_of_the_client_pass_by_allowlist_only"),
    ),
    "G9": Requirement(
        "25 and 26 authorization, Access Token Usage",
        "Every request of either era needs a token, before anything of it is parsed.",
        _FRAMING
        + _in("sidecar/downstream/test_guard", "grant_missing_odd_or_doubled_authorization_is_refused")
        + _in("sidecar/downstream/test_http", "unauthenticated_requests_of_every_method_are_refused_before_their_form"),
    ),
    "G10": Requirement(
        "26 streamable-http, Server Validation",
        "The body tells the era; a header that tells another is refused.",
        _FUZZ
        + _ERAS
        + _in(
            "sidecar/core/test_era",
            "read_legacy_header_is_legacy",
            "read_modern_message_is_modern",
            "read_modern_header_over_a_legacy_body_is_invalid_params",
        ),
    ),
    "G11": Requirement(
        "26 streamable-http, Server Validation",
        "Routing headers that are missing, doubled or differ from the body are -32020.",
        _FUZZ + _MISMATCHED + _in("sidecar/core/test_era", "read_modern_headers_that_differ_are_a_mismatch"),
    ),
    "G12": Requirement(
        "26 streamable-http, Value Encoding",
        "Encoded header values are decoded before they are compared; a malformed one is a mismatch.",
        _FUZZ
        + _MISMATCHED
        + _in(
            "sidecar/core/test_era",
            "encode_is_the_codec_of_the_sdk",
            "decode_accepts_nothing_that_the_sdk_refuses",
        ),
    ),
    "G13": Requirement(
        "26 streamable-http, Custom Headers",
        "Headers that mirror arguments agree with them; unknown ones pass and are ignored.",
        _FUZZ
        + _MISMATCHED
        + _in("sidecar/core/test_era", "read_mirrored_arguments_must_agree")
        + _in("sidecar/core/test_inventory", "header_params_of_a_valid_schema_are_found")
        + _in("sidecar/test_probe", "modern_server_is_asked_without_a_greeting"),
    ),
    "G14": Requirement(
        "26 versioning; 25 transports, Protocol Version Header",
        "A modern request has its fields and a revision that is known; an unknown one names those that are.",
        _FUZZ
        + _ERAS
        + _FRAMING
        + _in(
            "sidecar/core/test_era",
            "read_modern_without_its_fields_is_invalid_params",
            "read_unknown_revision_names_the_supported_ones",
            "read_without_a_version_is_the_revision_that_had_none",
        ),
    ),
    "G15": Requirement(
        "26 versioning, Backward Compatibility",
        "Only a genuine modern request is answered with -32020 to -32022; refusals of the server go through unchanged.",
        _SERVERS
        + _in("bypass/test_generated", "refusal_of_headers_is_a_valid_error")
        + _in("bypass/test_headers", "same_message_of_the_legacy_era_gets_no_modern_code")
        + _in("bypass/test_upstream", "refusal_of_the_server_passes_as_it_is")
        + _in("sidecar/core/test_era", "read_what_is_no_modern_request_never_gets_a_modern_code")
        + _in("sidecar/upstream/test_http", "status_and_body_pass_as_they_are"),
    ),
    "G16": Requirement(
        "26 basic, Error Codes",
        "Codes of our own lie outside the reserved range.",
        _in("bypass/test_generated", "refusal_of_headers_is_a_valid_error")
        + _in("bypass/test_headers", "same_message_of_the_legacy_era_gets_no_modern_code")
        + _in("sidecar/core/test_denial", "own_codes_lie_outside_the_reserved_range"),
    ),
    "G17": Requirement(
        "own",
        "What is no tool call or list passes byte for byte; without a policy, only what is harmless.",
        _in("sidecar/path/test_relay", "body_passes_as_it_came", "events_pass_as_they_came_and_in_order")
        + _in(
            "sidecar/path/test_exchange",
            "message_that_is_no_tool_call_passes_untouched_without_a_record",
            "no_policy_other_method_is_an_error_and_recorded",
            "no_policy_list_is_empty",
            "all_methods_policed_what_is_not_about_tools_is_an_error_and_recorded",
        )
        + _in("sidecar/core/test_closing", "resources_prompts_and_unknown_methods_are_closed")
        + _in("eras/test_transports", "grant_that_polices_all_methods_closes_prompts_and_resources")
        + _in("eras/conformance/test_conformance", "every_check_that_passes_directly_passes_through_the_gateway"),
    ),
    "G18": Requirement(
        "own",
        "Headers pass by allowlist, in both directions.",
        _in("bypass/test_upstream", "headers_of_the_server_stay_behind")
        + _in(
            "sidecar/core/test_headers", "forwardable_drops_everything_else", "forwardable_keeps_the_allowed_in_order"
        )
        + _in("bypass/test_framing", "headers_of_the_client_stay_behind", "trailers_reach_nobody")
        + _in("sidecar/downstream/test_http", "call_headers_of_the_client_pass_by_allowlist_only")
        + _in("sidecar/upstream/test_http", "answer_passes_only_allowed_headers"),
    ),
    "G19": Requirement(
        "25 and 26 transports, Sending",
        "Status codes go through, 202 with an empty body.",
        _in("bypass/test_upstream", "refusal_of_the_server_passes_as_it_is")
        + _PAIRS
        + _in("sidecar/upstream/test_http", "status_and_body_pass_as_they_are")
        + _in("sidecar/path/test_relay", "body_passes_as_it_came")
        + _in("sidecar/downstream/test_http", "call_goes_through_and_back"),
    ),
    "G20": Requirement(
        "25 transports, Sending 4; 26 streamable-http, Sending",
        "A client's answers to the server are forwarded in the legacy era and refused in the modern one.",
        _LEGACY_PAIRS
        + _in("sidecar/core/test_era", "read_modern_header_over_a_legacy_body_is_invalid_params")
        + _in("sidecar/downstream/test_http", "call_goes_through_and_back"),
    ),
    "G21": Requirement(
        "own; 25 transports, Session Management",
        "A session's id belongs to one grant; for any other it does not exist.",
        _FRAMING
        + _in("bypass/test_framing", "session_of_another_grant_does_not_exist")
        + _PAIRS
        + _in("sidecar/downstream/test_sessions", "unwrap_by_another_grant_gives_nothing")
        + _in("sidecar/downstream/test_sessions", "event_is_given_to_no_other_session")
        + _in("sidecar/downstream/test_http", "get_from_an_event_of_another_grant_or_session_is_refused")
        + _in("sidecar/downstream/test_http", "session_ids_are_wrapped_for_the_client_and_unwrapped_for_the_server"),
    ),
    "G22": Requirement(
        "25 transports, Sending 6; 26 streamable-http, Receiving",
        "Streams are relayed event by event, with ids, waits and comments, whatever ends their lines.",
        _in("bypass/test_lists", "odd_list_arrives_without_the_hidden_tool")
        + _in(
            "sidecar/core/test_sse",
            "feed_stream_gives_its_events_with_every_byte",
            "feed_any_pieces_give_the_same_events",
        )
        + _PAIRS
        + _RESUMED
        + _in("eras/test_resumption", "answer_broken_off_is_taken_up_again_and_nothing_comes_twice")
        + _in("sidecar/path/test_relay", "events_pass_as_they_came_and_in_order")
        + _in("sidecar/upstream/test_http", "events_come_as_they_arrive_and_leaving_closes_the_connection")
        + _in("sidecar/upstream/test_resumption", "stream_begins_with_an_event_of_no_data_and_numbers_the_others")
        + _in("sidecar/downstream/test_http", "get_relays_the_servers_stream_filtered"),
    ),
    "G23": Requirement(
        "25 transports, Resumability and Redelivery",
        "A server's own requests and news pass on the stream they came on; an answer may come on another.",
        _LEGACY_PAIRS
        + _RESUMED
        + _in("eras/test_resumption", "answer_broken_off_is_taken_up_again_and_nothing_comes_twice")
        + _in(
            "sidecar/upstream/test_resumption",
            "stream_is_taken_up_behind_the_event_that_is_named_as_often_as_it_is_asked_for",
        )
        + _in(
            "sidecar/path/test_late",
            "answer_on_the_stream_that_goes_on_settles_the_call",
            "answer_on_any_other_stream_settles_nothing",
        )
        + _in(
            "bypass/test_given_back",
            "limit_and_honest_error_on_the_stream_taken_up_again_is_given_back",
            "limit_and_tricks_with_streams_taken_up_again_count",
        )
        + _in("sidecar/downstream/test_http", "get_relays_the_servers_stream_filtered"),
    ),
    "G24": Requirement(
        "25 cancellation; 26 streamable-http, Cancellation",
        "A client that cancels or hangs up ends its request at the server, in the way of its era.",
        _PAIRS
        + _in("sidecar/downstream/test_http", "client_that_hangs_up_cancels_the_call_at_the_upstream")
        + _in("sidecar/path/test_waiting", "call_that_its_session_cancels_is_let_go_and_told_nothing")
        + _in("sidecar/downstream/test_stdio", "serve_cancelled_after_it_was_forwarded_gets_no_answer")
        + _in("sidecar/upstream/test_shared", "modern_hang_up_cancels_the_request_at_the_server")
        + _in("sidecar/upstream/test_resumption", "client_that_does_not_come_back_is_given_up_and_the_server_told"),
    ),
    "G25": Requirement(
        "seen",
        "A body without an end is relayed as it comes.",
        _in("bypass/test_upstream", "answer_without_end_is_given_up_with_its_client")
        + _PAIRS
        + _in("sidecar/path/test_relay", "endless_body_line_is_passed_on_at_once")
        + _in("sidecar/upstream/test_http", "endless_body_of_a_listen_request_comes_as_it_arrives"),
    ),
    "G26": Requirement(
        "26 tools, Capabilities; pagination; seen",
        "Hidden tools are in no answer on any stream; everything else of a list stays.",
        _CLIENTS
        + _SERVERS
        + _in(
            "bypass/test_stdio",
            "list_in_any_disguise_comes_back_without_the_hidden_tool",
            "list_of_a_process_in_any_disguise_is_filtered_over_http",
            "tools_that_a_server_lends_to_a_model_are_no_list",
        )
        + _in(
            "bypass/test_upstream",
            "list_longer_than_any_is_withheld_and_memory_comes_back",
            "event_longer_than_any_ends_its_stream_without_the_hidden_tool",
        )
        + _in(
            "bypass/test_lists",
            "odd_list_arrives_without_the_hidden_tool",
            "unreadable_list_is_withheld",
            "list_on_another_way_is_filtered",
        )
        + _in("sidecar/core/test_listing", "filtered_drops_hidden_tools_and_nothing_else")
        + _in("sidecar/path/test_relay", "event_with_tools_keeps_all_but_its_data")
        + _in("sidecar/path/test_visibility", "list_loses_its_hidden_tools_and_teaches_all"),
    ),
    "G27": Requirement(
        "26 caching",
        "A filtered page is private and lives no longer than the cap; legacy pages get no new fields.",
        _in("bypass/test_generated", "filtered_list_is_a_valid_result_in_both_eras")
        + _in(
            "sidecar/core/test_listing",
            "filtered_modern_hints_are_private_and_capped",
            "filtered_modern_list_without_hints_gets_them",
        )
        + _in("sidecar/path/test_visibility", "list_modern_is_made_private_also_from_memory"),
    ),
    "G28": Requirement(
        "26 tools, List Changed Notification",
        "A reload that changes what a grant sees is told on its open streams.",
        _in(
            "sidecar/path/test_notices",
            "listener_is_told_once_for_each_change_and_without_an_event_id",
            "subscriber_is_told_once_the_server_has_acknowledged_its_subscription",
            "subscriber_to_other_things_is_not_told",
        )
        + _in(
            "eras/test_transports",
            "legacy_client_is_told_when_a_new_policy_changes_what_it_sees",
            "modern_subscriber_is_told_when_a_new_policy_changes_what_it_sees",
        ),
    ),
    "G29": Requirement(
        "26 tools, Error Handling and Output Schema",
        "A denial is a tool result with the policy's text, the request's own id and the decision.",
        _CLIENTS
        + _SERVERS
        + _in("bypass/test_generated", "denial_is_a_valid_result_in_both_eras")
        + _in(
            "sidecar/core/test_denial",
            "result_legacy_is_a_tool_error_with_the_policy_text",
            "result_modern_is_complete",
        )
        + _in("sidecar/path/test_exchange", "call_denied_is_answered_and_not_forwarded"),
    ),
    "G30": Requirement(
        "25 tasks",
        "A denied call that asked for a task gets an error.",
        _in("bypass/test_generated", "denial_of_a_task_is_a_valid_error")
        + _in("sidecar/path/test_exchange", "denial_of_a_task_is_an_error")
        + _in("sidecar/core/test_messages", "classify_task_exists_only_in_the_legacy_era"),
    ),
    "G31": Requirement(
        "own",
        "A hidden tool's call is denied like any other, or answered like that of a missing one; what cannot be decided"
        " is never forwarded.",
        _CLIENTS
        + _in(
            "bypass/test_unseen",
            "hidden_tool_is_answered_like_one_that_does_not_exist",
            "hidden_tool_with_an_unusual_name_is_answered_like_one_that_does_not_exist",
            "audit_tells_the_truth_and_seen_tools_are_told_why",
        )
        + _in("sidecar/core/test_unseen", "denial_of_what_no_list_of_the_grant_holds_is_unseen")
        + _in("sidecar/path/test_refusals", "denied_call_of_a_hidden_tool_is_told_as_the_grant_says")
        + _in("bypass/test_generated", "denial_is_a_valid_result_in_both_eras")
        + _in("bypass/test_messages", "call_against_the_policy_is_denied")
        + _in(
            "sidecar/path/test_exchange",
            "call_opa_fails_is_denied_as_unavailable_with_the_cause_in_the_record_only",
            "list_that_opa_cannot_judge_is_withheld",
        )
        + _in("sidecar/path/test_judgement", "judge_opa_fails_is_unavailable_with_the_cause")
        + _in("sidecar/path/test_relay", "body_that_opa_cannot_judge_is_withheld"),
    ),
    "G32": Requirement(
        "own",
        "A quota is given back only on proof that nothing ran.",
        _in(
            "bypass/test_given_back",
            "limit_and_stopped_calls_count",
            "limit_and_honest_error_is_given_back",
            "limit_and_error_of_another_request_with_its_id_counts",
        )
        + _in("sidecar/core/test_inflight", "request_alone_is_believed")
        + _in("bypass/test_ids", "limit_and_error_of_a_request_whose_id_rounds_to_that_of_the_call_counts")
        + _in(
            "sidecar/path/test_exchange",
            "call_that_surely_did_not_run_is_given_back",
            "call_that_may_have_run_is_kept",
        )
        + _in(
            "bypass/test_rounds",
            "limit_and_calls_of_two_rounds_count_once_each",
            "error_of_the_server_gives_no_limit_back",
        )
        + _in("sidecar/path/test_late", "error_after_the_client_meddled_proves_nothing")
        + _in("sidecar/path/test_settlement", "finish_gives_back_what_surely_did_not_run_and_records")
        + _in("sidecar/path/test_rounds", "two_rounds_are_judged_twice_and_counted_once"),
    ),
    "G33": Requirement(
        "own",
        "A legacy client's user is asked on the call's own stream; the answer goes no further and counts once.",
        _in(
            "bypass/test_confirm",
            "legacy_answer_lets_its_call_through_once",
            "legacy_answer_of_somebody_else_is_taken_out_and_opens_nothing",
            "legacy_client_that_hangs_up_leaves_the_approval_to_an_operator",
            "legacy_session_whose_client_shows_no_forms_is_not_asked",
            "session_that_says_by_itself_that_it_shows_forms_is_none",
        )
        + _CONFIRMED
        + _in("sidecar/core/test_asking", "legacy_form_is_a_request_of_the_gateways_own")
        + _in("sidecar/path/test_waiting", "legacy_user_is_asked_on_the_calls_own_stream_and_confirms"),
    ),
    "G34": Requirement(
        "26 mrtr",
        "A modern client's user is asked by input_required, if its request says that it shows forms.",
        _in(
            "bypass/test_confirm",
            "modern_answer_lets_its_call_through_once",
            "modern_answer_to_another_question_reaches_no_server",
            "modern_answer_that_is_no_approval_denies",
        )
        + _CONFIRMED
        + _in("sidecar/core/test_asking", "modern_request_says_for_itself_what_it_takes")
        + _in("sidecar/path/test_waiting", "modern_user_is_asked_and_confirms"),
    ),
    "G35": Requirement(
        "26 mrtr; seen",
        "A modern call is held for an operator 45 s at a time, answered early when decided, and comes again by itself.",
        _WAITED
        + _in("eras/test_approvals", "modern_client_comes_again_by_itself_until_it_is_decided")
        + _in("sidecar/core/test_asking", "come_again_has_a_state_and_asks_nothing")
        + _in(
            "sidecar/path/test_waiting",
            "modern_call_that_nobody_decides_is_made_again_by_its_client",
            "calls_held_are_bounded_and_further_ones_are_denied_at_once",
        ),
    ),
    "G36": Requirement(
        "own; seen",
        "A legacy call is held for an operator, with comments and negative progress, up to a bound.",
        _WAITED
        + _in("sidecar/core/test_asking", "progress_rises_below_zero_for_who_asked_for_it")
        + _in("sidecar/path/test_waiting", "legacy_call_that_nobody_decides_is_denied_with_its_approval"),
    ),
    "G37": Requirement(
        "own",
        "A call that needs approval is denied with an id; the identical retry passes once, after approval.",
        _in("bypass/test_messages", "approval_is_for_one_grant_one_call_and_once")
        + _in("bypass/test_given_back", "approval_and_stopped_call_uses_it_up")
        + _in("sidecar/path/test_judgement", "approval_approved_lets_exactly_one_call_through")
        + _in("sidecar/path/test_waiting", "client_that_cannot_wait_or_be_asked_is_told_to_come_again"),
    ),
    "G38": Requirement(
        "26 mrtr, Server Requirements",
        "State that comes back from a client is sealed, bound and used once.",
        _in(
            "bypass/test_headers",
            "state_and_answers_of_a_client_open_nothing",
            "state_of_the_server_sent_again_makes_no_call_free",
        )
        + _in(
            "bypass/test_rounds",
            "state_that_was_bent_reaches_no_server",
            "state_of_another_call_reaches_no_server",
            "state_of_another_grant_reaches_no_server",
            "state_is_good_once_even_at_once",
            "state_is_known_to_another_gateway_on_the_same_state_and_good_once_for_both",
            "state_is_good_once_across_a_restart",
            "server_gets_back_its_own_state_and_the_client_never_sees_it",
        )
        + _in("bypass/test_confirm", "modern_answer_to_another_question_reaches_no_server")
        + _in("sidecar/core/test_sealed", "state_changed_anywhere_does_not_open")
        + _in("sidecar/core/test_rounds", "server_gets_its_own_state_and_answers_byte_for_byte")
        + _in(
            "sidecar/path/test_rounds",
            "state_that_expired_is_refused",
            "policy_edited_between_rounds_denies_and_leaves_the_state",
            "many_rounds_count_once",
        ),
    ),
    "G39": Requirement(
        "26 elicitation",
        "Forms that ask for approval are flat and name keys only.",
        _in("bypass/test_confirm", "modern_answer_lets_its_call_through_once")
        + _in("sidecar/core/test_asking", "text_names_the_tool_and_its_arguments_and_no_link"),
    ),
    "G40": Requirement(
        "25 transports, stdio",
        "Behind HTTP, each legacy session has a process of its own; the gateway mints its id.",
        _SERVERS
        + _PAIRS
        + _in("sidecar/upstream/test_sessions", "sessions_are_told_apart_and_each_ends_alone")
        + _in(
            "sidecar/upstream/test_stdio",
            "two_sessions_have_a_process_each_and_may_share_ids",
            "session_without_traffic_is_ended",
        )
        + _in(
            "sidecar/upstream/test_resumption",
            "client_that_hung_up_finds_its_answer",
            "answer_comes_on_a_stream_that_begins_before_it_and_may_be_asked_for_again",
            "stream_whose_answer_never_comes_ends_with_an_error_that_is_not_the_servers",
        )
        + _in("eras/conformance/test_conformance", "every_check_that_passes_directly_passes_through_the_gateway"),
    ),
    "G41": Requirement(
        "26 stdio; own",
        "Modern clients share one process, and their ids never meet.",
        _SERVERS
        + _PAIRS
        + _in(
            "sidecar/upstream/test_shared",
            "modern_clients_with_the_same_id_and_token_do_not_meet",
            "modern_request_keeps_every_byte_but_its_ids",
        )
        + _in("sidecar/upstream/test_conversation", "modern_child_gone_fails_all_under_way_and_is_started_again"),
    ),
    "G42": Requirement(
        "26 streamable-http, Sending",
        "The HTTP status follows the error's code.",
        _in("bypass/test_generated", "refusal_of_a_message_is_a_valid_error")
        + _PAIRS
        + _in("sidecar/core/test_denial", "status_follows_the_code_and_the_era")
        + _in("sidecar/core/test_unseen", "answer_names_the_tool_and_nothing_else")
        + _in("sidecar/upstream/test_shared", "modern_status_follows_the_error_code"),
    ),
    "G43": Requirement(
        "26 stdio; subscriptions",
        "A modern client that leaves is cancelled at the process; a subscription ends with its own id.",
        _PAIRS
        + _in(
            "sidecar/upstream/test_shared",
            "modern_hang_up_cancels_the_request_at_the_server",
            "subscription_carries_its_clients_id_until_the_server_ends_it",
        ),
    ),
    "G44": Requirement(
        "26 versioning; seen",
        "The eras never share a process.",
        _SERVERS
        + _PAIRS
        + _in("sidecar/upstream/test_stdio", "initialize_of_the_modern_era_is_unknown_and_no_process_hears_it")
        + _in("sidecar/upstream/test_shared", "legacy_server_refuses_discover_and_then_serves_a_session"),
    ),
    "G45": Requirement(
        "26 streamable-http, Sending and Custom Headers",
        "For a client on stdio the gateway writes the headers, resumes, and ends the session.",
        _CLIENTS
        + _PAIRS
        + _in("sidecar/upstream/test_spokesman", "modern_call_carries_the_headers_that_mirror_it")
        + _in("sidecar/core/test_era", "spoken_headers_are_those_that_read_asks_for")
        + _in("sidecar/upstream/test_following", "answer_is_followed_past_breaks_from_where_each_was")
        + _in("sidecar/upstream/test_handshake", "renew_makes_the_clients_own_handshake_again")
        + _in(
            "sidecar/upstream/test_spokesman",
            "session_that_the_server_lost_is_opened_again_and_what_it_did_not_run_is_sent_again",
            "call_whose_answer_is_lost_is_told_and_not_sent_again",
        )
        + _in("eras/test_transports", "stdio_client_outlives_a_restart_of_its_server_and_no_call_runs_twice"),
    ),
    "G46": Requirement(
        "25 and 26 transports, stdio",
        "stdout carries messages only, and the end of the input ends the child.",
        _CLIENTS
        + _PAIRS
        + _in("sidecar/downstream/test_stdio", "serve_answers_lines_and_ends_with_the_input")
        + _in("sidecar/downstream/test_standard", "claim_leaves_the_wire_to_messages_only"),
    ),
    "G47": Requirement(
        "2024-11-05 transports, HTTP with SSE",
        "A server of the older HTTP+SSE is spoken to its way.",
        _SERVERS
        + _PAIRS
        + _in("sidecar/upstream/test_sse", "session_is_a_stream_and_messages_go_to_its_endpoint_with_our_credential")
        + _in("sidecar/upstream/test_either", "server_that_answers_initialize_the_older_way_is_spoken_to_that_way"),
    ),
    "G48": Requirement(
        "26 authorization, Token Handling; security best practices",
        "A client's token stops here; the server gets a credential of its own.",
        _in("bypass/test_upstream", "redirect_leads_nowhere")
        + _in("sidecar/upstream/test_http", "send_headers_of_the_client_never_stand_in_for_ours")
        + _in("sidecar/upstream/test_credentials", "header_of_its_own_carries_the_token_alone")
        + _in("sidecar/grants/test_jwt", "resolve_good_token_gives_its_grant", "resolve_token_of_a_stranger_is_refused")
        + _in("sidecar/cli/test_authorization", "token_of_the_authorization_server_is_a_grant_and_stops_here")
        + _in(
            "sidecar/downstream/test_http", "call_headers_of_the_client_pass_by_allowlist_only", "call_query_is_dropped"
        ),
    ),
    "G49": Requirement(
        "25 and 26 authorization, Error Handling",
        "No valid token is 401 with a challenge, one for another server 403.",
        _in("sidecar/downstream/test_guard", "grant_for_another_server_is_refused_without_naming_it")
        + _in("sidecar/downstream/test_resource", "challenge_tells_where_a_better_token_is_had")
        + _in("sidecar/grants/test_jwt", "resolve_token_for_another_of_our_servers_is_told_no_more")
        + _in(
            "sidecar/cli/test_authorization",
            "every_refusal_says_what_is_needed_and_reaches_no_server",
            "metadata_is_served_for_each_server_and_for_nothing_else",
            "settings_without_oauth_publish_nothing",
        )
        + _in("sidecar/downstream/test_http", "unauthenticated_requests_of_every_method_are_refused_before_their_form"),
    ),
    "G50": Requirement(
        "25 and 26 security best practices, Session Hijacking",
        "A session is no authentication: every request is checked on its own.",
        _in(
            "sidecar/downstream/test_http",
            "requests_alike_on_a_connection_are_checked_anew_where_anything_may_have_changed",
        )
        + _in("sidecar/cli/test_authorization", "keys_that_rotate_are_followed_and_a_token_of_the_old_ones_is_refused"),
    ),
    "G51": Requirement(
        "own",
        "A server's 401 or 403 becomes a 502; its challenge reaches nobody.",
        _in("bypass/test_upstream", "challenge_of_the_server_reaches_no_client")
        + _in("sidecar/downstream/test_http", "upstreams_refusal_never_asks_the_client_for_a_token")
        + _in("sidecar/upstream/test_credentials", "send_refused_for_ever_is_sent_twice_at_most")
        + _in(
            "sidecar/cli/test_authorization",
            "credential_that_the_server_refuses_is_renewed_once_and_its_challenge_never_relayed",
        )
        + _in("sidecar/path/test_relay", "refused_credential_becomes_a_bad_gateway_and_frees_the_stream")
        + _in("sidecar/path/test_exchange", "upstream_refuses_our_credential_is_a_bad_gateway")
        + _in("sidecar/upstream/test_http", "status_and_body_pass_as_they_are"),
    ),
    "G52": Requirement(
        "own",
        "No redirect is followed.",
        _in("bypass/test_upstream", "redirect_leads_nowhere")
        + _in("sidecar/upstream/test_http", "redirect_is_never_followed"),
    ),
    "G53": Requirement(
        "25 and 26 basic, Timeouts",
        "Waiting for a server is bounded; on expiry it is told, and the client gets -32603.",
        _in("sidecar/upstream/test_http", "no_answer_in_time_is_timed_out_and_the_request_given_up")
        + _in("sidecar/path/test_exchange", "call_upstream_fails_is_told_as_a_json_rpc_error_and_in_the_record"),
    ),
    "G54": Requirement(
        "own; seen",
        "Methods and arguments that only look like known ones are refused; Upgrade and Expect are not honoured.",
        _FUZZ
        + _LINES
        + _MESSAGES
        + _FRAMING
        + _in(
            "sidecar/core/test_messages",
            "classify_look_alike_method_is_refused",
            "classify_argument_that_looks_like_a_known_one_is_refused",
        )
        + _in("sidecar/test_probe", "odd_list_that_a_client_could_read_is_learnt_and_never_crashes")
        + _in("sidecar/downstream/test_guard", "form_odd_post_is_refused")
        + _in("sidecar/downstream/test_http", "request_of_the_wrong_form_is_refused_recorded_and_not_forwarded")
        + _in("sidecar/core/test_names", "bare_method_of_a_look_alike_is_the_policed_one"),
    ),
}
