// What becomes of a thread that asks for the interpreter's lock while the interpreter ends.
//
// Before Python 3.14 such a thread is ended on the spot, by unwinding its stack: through a step that is half done, and
// through destructors that must not be left that way. Here it sleeps until the process is gone, as later versions let
// it. Its objects are not destroyed, and what it had locked stays so.
#pragma once

#include <unistd.h>

namespace chainrule::bindings {

/// Returns body(), a call of Python's C API that may ask for the lock, and so throws nothing of its own; sleeps for
/// good where it would end the thread.
template <class Body> decltype(auto) or_sleep_at_the_end(Body body) {
  try {
    return body();
  } catch (...) {
    for (;;) pause();
  }
}

} // namespace chainrule::bindings
