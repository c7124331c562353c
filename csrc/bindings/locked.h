// Locked: the interpreter's lock is held while one of these lives, by a thread of the engine that has none of its own.
// CallingPython: the same for a call of a Python function in the midst of a step.
//
// Such a function must not use a network: the one at work is not in a state to be used. BoundNetwork asks for that.
#pragma once

#include <pybind11/pybind11.h>
#include <unistd.h>

#include <stdexcept>

namespace chainrule::bindings {

class Locked {
public:
  Locked() : state_(taken()) {}
  ~Locked() { PyGILState_Release(state_); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

private:
  /// Before Python 3.14 a thread that asks for the lock while the interpreter ends is ended by unwinding its stack,
  /// which is full of the engine's objects. It sleeps instead, as later versions let it, until the process is gone.
  static PyGILState_STATE taken() {
    try {
      return PyGILState_Ensure();
    } catch (...) {
      for (;;) pause();
    }
  }

  PyGILState_STATE state_;
};

class CallingPython {
public:
  CallingPython() { enter(); }
  ~CallingPython() { --depth; }
  CallingPython(const CallingPython&) = delete;
  CallingPython& operator=(const CallingPython&) = delete;

  /// Whether this thread is in a Python function that the engine has called.
  static bool now() { return depth > 0; }

private:
  static void enter() {
    // A function that leads back to itself would use up the stack before Python has counted its calls.
    constexpr int deepest = 10;
    if (depth >= deepest) throw std::runtime_error("a Python function of an activation or a loss calls itself");
    ++depth;
  }

  static inline thread_local int depth = 0;
  Locked locked_;
};

} // namespace chainrule::bindings
