import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";

/** The signed-in user, and whether they may launch, and manage the organisation and its billing. */
export function useWho() {
  const query = useQuery({ queryKey: ["whoami"], queryFn: ({ signal }) => api.whoAmI(signal) });
  const permissions = query.data?.permissions ?? [];
  return {
    query,
    user: query.data?.user,
    org: query.data?.org,
    mayLaunch: permissions.includes("launch"),
    isAdmin: permissions.includes("manage_organisation"),
    isOwner: permissions.includes("manage_billing"),
  };
}
