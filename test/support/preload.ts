import { afterAll, setDefaultTimeout } from "bun:test";
import { closeTestServer } from "./database.ts";

setDefaultTimeout(60_000);
afterAll(closeTestServer);
