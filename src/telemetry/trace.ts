import type { Span as OtelSpan } from "@opentelemetry/api";
import type { Secret } from "#src/crypto/secret.ts";
import { redact } from "./redact.ts";

/** A piece of work in a trace (W3C Trace Context). */
export type Span = {
  /** What the next system is told: this span is its parent. */
  readonly traceparent: string;
  /** `facts` never hold contents or secrets. */
  end(facts: Readonly<Record<string, string | number | undefined>>, isFailure: boolean): void;
};

/** Traces for an OpenTelemetry collector; there are none unless one is configured. */
export type Tracing = {
  /** @param parent `traceparent` of whoever asked, as it came. */
  begin(name: string, kind: "server" | "client", parent?: string | null): Span;
  stop(): Promise<void>;
};

type TracingConfig = {
  readonly endpoint: string;
  readonly headers: Secret | undefined;
  readonly serviceName: string;
  readonly version: string;
};

/** `00-` trace id `-` parent id `-` flags; other versions are read as this one (Trace Context section 3.2). */
const form = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/;
const zeros = /^0+$/;

type TraceParent = {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: number;
};

/** Undefined when it is none: the standard wants it ignored then. */
export function readTraceparent(text: string | null | undefined): TraceParent | undefined {
  const [, traceId = "", spanId = "", flags = ""] = form.exec(text ?? "") ?? [];
  if (zeros.test(traceId) || zeros.test(spanId) || traceId === "") return undefined;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) };
}

const [exportMs, mostWaiting] = [5000, 2048];

/** Loads OpenTelemetry, which costs nothing where nobody collects traces. Batches of five seconds; what does not fit is dropped. */
export async function createTracing(config: TracingConfig): Promise<Tracing> {
  const [api, sdk, resources, { OTLPTraceExporter }] = await Promise.all([
    import("@opentelemetry/api"),
    import("@opentelemetry/sdk-trace"),
    import("@opentelemetry/resources"),
    import("@opentelemetry/exporter-trace-otlp-http"),
  ]);
  const exporter = new OTLPTraceExporter({
    url: `${config.endpoint.replace(/\/$/, "")}/v1/traces`,
    headers: headersIn(config.headers),
    timeoutMillis: exportMs,
  });
  const batch = { scheduledDelayMillis: exportMs, maxQueueSize: mostWaiting };
  const provider = new sdk.TracerProvider({
    resource: resources.resourceFromAttributes({
      "service.name": config.serviceName,
      "service.version": config.version,
    }),
    spanProcessors: [new sdk.BatchSpanProcessor({ ...batch, exporter })],
  });
  const tracer = provider.getTracer("smartdash", config.version);
  const kinds = { server: api.SpanKind.SERVER, client: api.SpanKind.CLIENT };
  return {
    begin(name, kind, parent) {
      const known = readTraceparent(parent);
      const context =
        known === undefined
          ? api.ROOT_CONTEXT
          : api.trace.setSpanContext(api.ROOT_CONTEXT, {
              traceId: known.traceId,
              spanId: known.spanId,
              traceFlags: known.flags,
              isRemote: true,
            });
      const span = tracer.startSpan(name, { kind: kinds[kind] }, context);
      return wrapped(span, () => span.setStatus({ code: api.SpanStatusCode.ERROR }));
    },
    stop: () => provider.shutdown().catch(() => undefined),
  };
}

function wrapped(span: OtelSpan, fail: () => void): Span {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`,
    end(facts, isFailure) {
      for (const [name, value] of Object.entries(facts)) {
        if (value === undefined) continue;
        span.setAttribute(name, typeof value === "string" ? redact(value) : value);
      }
      if (isFailure) fail();
      span.end();
    },
  };
}

function headersIn(text: Secret | undefined): Record<string, string> {
  const pairs = (text?.reveal() ?? "").split(",").map((pair) => pair.split(/=(.*)/s));
  return Object.fromEntries(
    pairs.flatMap(([name = "", value]) =>
      value === undefined ? [] : [[name.trim(), decoded(value.trim())]],
    ),
  );
}

/** OpenTelemetry writes header values percent-encoded. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
