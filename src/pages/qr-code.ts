import { html } from "hono/html";
import { encode } from "uqr";
import type { Markup } from "./page.ts";

/** Modules around the code that stay empty (ISO/IEC 18004). */
const border = 4;

/** An address as a QR code, drawn as SVG: black on white in every colour scheme. Never for a text with a secret in it. */
export function qrCode(address: string, title: string): Markup {
  const { size, data } = encode(address, { ecc: "M", border });
  const dark = data.flatMap((row, y) =>
    row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])),
  );
  return html`<svg class="qr" role="img" viewBox="0 0 ${size} ${size}" width="180" height="180">
    <title>${title}</title>
    <rect width="${size}" height="${size}" fill="#fff" />
    <path d="${dark.join("")}" fill="#000" shape-rendering="crispEdges" />
  </svg>`;
}
