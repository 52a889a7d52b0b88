/**
 * The error codes of OAuth as its documents define them: RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1,
 * RFC 7591 section 3.2.2, RFC 8628 section 3.5, RFC 8707 section 2.
 */
export const oauthErrors = {
  invalid_request: {
    http: 400,
    doc: "A parameter is missing, stands twice or makes no sense; the description says which.",
  },
  invalid_client: {
    http: 401,
    doc: "The client is unknown, was removed, or did not prove itself. Register again.",
  },
  invalid_grant: {
    http: 400,
    doc: "The code or refresh token is unknown, expired, used, ended, or another client's. Authorize again.",
  },
  unauthorized_client: {
    http: 400,
    doc: "The client is not registered for this grant type.",
  },
  unsupported_grant_type: {
    http: 400,
    doc: "There is no such grant type; the metadata lists those there are.",
  },
  unsupported_response_type: { http: 400, doc: "Only response_type=code is there." },
  invalid_scope: {
    http: 400,
    doc: "None of the scopes that were asked for may be given to this client.",
  },
  invalid_target: {
    http: 400,
    doc: "`resource` is not an MCP address of this gateway that this client may use, or stands twice (RFC 8707).",
  },
  access_denied: { http: 403, doc: "The person did not allow it." },
  interaction_required: {
    http: 400,
    doc: "prompt=none was sent, but a person has to decide.",
  },
  authorization_pending: {
    http: 400,
    doc: "The person has not decided about this device yet; ask again after the interval.",
  },
  slow_down: {
    http: 400,
    doc: "The device asks too often; its interval has grown by five seconds.",
  },
  expired_token: {
    http: 400,
    doc: "The device code is older than 15 minutes. Begin again.",
  },
  invalid_redirect_uri: {
    http: 400,
    doc: "A redirect URI is neither https, nor loopback, nor the private scheme of a known desktop client.",
  },
  invalid_client_metadata: {
    http: 400,
    doc: "What the client says about itself cannot be registered; the description says why.",
  },
  insufficient_scope: {
    http: 403,
    doc: "The token lacks a scope that this message needs; the challenge names all of them.",
  },
} as const;
