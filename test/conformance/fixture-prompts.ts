import {
  acceptedContent,
  fromJsonSchema,
  type GetPromptResult,
  inputRequired,
  type McpServer,
} from "@modelcontextprotocol/server";

import { redPixel } from "./fixture-media.ts";

export function addPrompts(server: McpServer): void {
  server.registerPrompt("test_simple_prompt", { description: "A prompt without arguments" }, () =>
    userSays({ type: "text", text: "This is a simple prompt for testing." }),
  );
  server.registerPrompt(
    "test_prompt_with_arguments",
    { description: "A prompt with two arguments", argsSchema: required("arg1", "arg2") },
    ({ arg1, arg2 }) =>
      userSays({ type: "text", text: `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'` }),
  );
  server.registerPrompt(
    "test_prompt_with_embedded_resource",
    { description: "A prompt that embeds a resource", argsSchema: required("resourceUri") },
    ({ resourceUri: uri }) =>
      userSays(
        {
          type: "resource",
          resource: {
            uri,
            mimeType: "text/plain",
            text: "Embedded resource content for testing.",
          },
        },
        { type: "text", text: "Please process the embedded resource above." },
      ),
  );
  server.registerPrompt("test_prompt_with_image", { description: "A prompt with an image" }, () =>
    userSays(
      { type: "image", data: redPixel, mimeType: "image/png" },
      { type: "text", text: "Please analyze the image above." },
    ),
  );
  server.registerPrompt(
    "test_input_required_result_prompt",
    { description: "A prompt that asks for its context first" },
    (ctx) => {
      const answer = acceptedContent(ctx.mcpReq.inputResponses, "user_context");
      if (answer) return userSays({ type: "text", text: `Context: ${String(answer["context"])}` });
      return inputRequired({ inputRequests: { user_context: askForContext } });
    },
  );
  server.server.setRequestHandler("completion/complete", ({ params }) => {
    const values = places.filter((place) => place.startsWith(params.argument.value));
    return { completion: { values, total: values.length, hasMore: false } };
  });
}

const places = ["paris", "park", "party"];

const askForContext = inputRequired.elicit({
  message: "What context should the prompt use?",
  requestedSchema: {
    type: "object",
    properties: { context: { type: "string" } },
    required: ["context"],
  },
});

type Content = GetPromptResult["messages"][number]["content"];

function userSays(...contents: Content[]): GetPromptResult {
  return { messages: contents.map((content) => ({ role: "user", content })) };
}

/** A schema of required string arguments. */
function required<Name extends string>(...names: Name[]) {
  return fromJsonSchema<Record<Name, string>>({
    type: "object",
    properties: Object.fromEntries(names.map((name) => [name, { type: "string" }])),
    required: names,
  });
}
