/** Secrets. Values are write-only. */

import { get, post } from "@/api/client";
import type { SecretKey, SecretList, SecretValue } from "@/api/schema";

export const secretsApi = {
  list: (signal?: AbortSignal) => get<SecretList>("/secrets", {}, signal),
  put: (secret: SecretValue) => post<SecretList>("/secrets", { secrets: [secret] }),
  remove: (key: SecretKey) => post<SecretList>("/secrets/delete", { keys: [key] }),
};
