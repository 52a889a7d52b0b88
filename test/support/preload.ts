import { afterAll, setDefaultTimeout } from "bun:test";
import { stopTestServer } from "./database.ts";

setDefaultTimeout(60_000);
afterAll(stopTestServer);
