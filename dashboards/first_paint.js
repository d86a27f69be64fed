// Takes the first paint away once Streamlit's program, which starts when it is on the screen, has drawn the same.
(() => {
  const first = document.getElementById("first-paint")
  if (!first || document.hidden) startProgram() // a tab in the background paints nothing
  requestAnimationFrame(() => setTimeout(startProgram))
  if (!first) return
  if (first.querySelector("template")) return first.remove() // a browser that is too old for it
  const isDrawn = () => {
    const app = document.querySelector("[data-testid=stApp][data-test-script-state=notRunning]")
    const page = app && app.querySelector("[data-testid=stMain]")
    return page && page.querySelector("h1, [data-testid=stAlert]") && !page.querySelector("[data-testid=stSkeleton]")
  }
  const givesUp = performance.now() + 20000
  const watch = () => {
    const isNeeded = !isDrawn() && !document.querySelector("[role=dialog]") && performance.now() < givesUp
    if (isNeeded) return requestAnimationFrame(watch)
    const page = document.querySelector("[data-testid=stMain]")
    if (page) page.scrollTop = first.scrollTop
    first.remove()
  }
  watch()
})()
