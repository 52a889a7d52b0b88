import type { CallToolResult, ContentBlock, McpServer } from "@modelcontextprotocol/server";

import { redPixel, silence } from "./fixture-media.ts";

/** The tools whose answer is fixed content. */
export function addContentTools(server: McpServer): void {
  for (const [name, { description, content }] of Object.entries(contentTools)) {
    server.registerTool(name, { description }, () => ({ content: [...content] }));
  }
  server.registerTool("test_error_handling", { description: "Always fails" }, () => {
    throw new Error("This tool intentionally returns an error for testing");
  });
}

type ContentTool = { readonly description: string; readonly content: readonly ContentBlock[] };

const contentTools: Readonly<Record<string, ContentTool>> = {
  test_simple_text: {
    description: "Returns one text",
    content: [{ type: "text", text: "This is a simple text response for testing." }],
  },
  test_image_content: {
    description: "Returns one image",
    content: [{ type: "image", data: redPixel, mimeType: "image/png" }],
  },
  test_audio_content: {
    description: "Returns one sound",
    content: [{ type: "audio", data: silence, mimeType: "audio/wav" }],
  },
  test_embedded_resource: {
    description: "Returns one embedded resource",
    content: [
      {
        type: "resource",
        resource: {
          uri: "test://embedded-resource",
          mimeType: "text/plain",
          text: "This is an embedded resource content.",
        },
      },
    ],
  },
  test_multiple_content_types: {
    description: "Returns a text, an image and a resource",
    content: [
      { type: "text", text: "Multiple content types test:" },
      { type: "image", data: redPixel, mimeType: "image/png" },
      {
        type: "resource",
        resource: {
          uri: "test://mixed-content-resource",
          mimeType: "application/json",
          text: JSON.stringify({ test: "data", value: 123 }),
        },
      },
    ],
  },
};

/** A tool result that is one text. */
export function text(words: string): CallToolResult {
  return { content: [{ type: "text", text: words }] };
}
