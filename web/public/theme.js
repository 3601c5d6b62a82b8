// Runs before the first paint, so that a chosen theme does not flash; the policy of the page
// forbids scripts inside of the document, hence a file of its own.
(function () {
  try {
    var theme = localStorage.getItem("conducto.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch (error) {
    // Storage may be forbidden; the system's theme holds then.
  }
})();
