// Starts Streamlit's program, once: when the first paint is on the screen, or when that takes too long.
const startProgram = (() => {
  let started = false
  return () => {
    if (started) return
    started = true
    const program = document.createElement("script")
    Object.assign(program, { type: "module", crossOrigin: "", src: "ENTRY" })
    document.head.append(program)
  }
})()
setTimeout(startProgram, 1000)
