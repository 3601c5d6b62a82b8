import { useEffect } from "react";

import { DataBrowser } from "@/pages/data/DataBrowser";

/** The user's own data, shared by all their pipelines. */
export function UserDataPage() {
  useEffect(() => {
    document.title = "Data · Conducto";
  }, []);
  return (
    <>
      <h1 className="sr-only">Your data</h1>
      <DataBrowser id={null} />
    </>
  );
}
