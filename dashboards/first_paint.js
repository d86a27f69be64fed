// Takes the first paint away once Streamlit's program, which starts when it is on the screen, has drawn the same.
// It stays where nothing has come to take its place, and then says that it is what the page said when it was opened.
(() => {
  const first = document.getElementById("first-paint")
  if (!first || document.hidden) startProgram() // a tab in the background paints nothing
  requestAnimationFrame(() => setTimeout(startProgram))
  if (!first) return
  if (first.querySelector("template")) return first.remove() // a browser that is too old for it
  const said = document.createElement("p")
  said.setAttribute("role", "alert")
  said.style = "position: fixed; bottom: 0; left: 0; right: 0; z-index: 1000001; margin: 0; padding: 1rem; " +
    "background: #7d353b; color: #fff; font: 1rem 'Source Sans', sans-serif"
  const drawn = () => {
    const page = document.querySelector("[data-testid=stApp] [data-testid=stMain]")
    return page && page.querySelector("h1, [data-testid=stAlert]") ? page : null
  }
  const isWhole = () => {
    const page = drawn()
    return page && page.closest("[data-test-script-state=notRunning]") && !page.querySelector("[data-testid=stSkeleton]")
  }
  const isLate = performance.now() + 20000
  const watch = () => {
    const late = performance.now() >= isLate
    if (!isWhole() && !document.querySelector("[role=dialog]") && !(late && drawn())) {
      if (late && !said.isConnected) {
        document.body.append(said)
        said.textContent =
          "The rest of this page does not come. What you see is what was known when you opened it. What to do: load the page again."
      }
      return requestAnimationFrame(watch)
    }
    const page = drawn()
    if (page) page.scrollTop = first.scrollTop
    first.remove()
    said.remove()
  }
  watch()
})()
