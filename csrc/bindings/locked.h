// Locked: the interpreter's lock is held while one of these lives, by a thread of the engine that has none of its own.
// CallingPython: the same for a call of a Python function in the midst of a step.
//
// Such a function must not use a network: the one at work is not in a state to be used. BoundNetwork asks for that.
#pragma once

#include <pybind11/pybind11.h>

#include <stdexcept>

#include "bindings/interpreter_end.h"

namespace chainrule::bindings {

class Locked {
public:
  Locked() : state_(or_sleep_at_the_end([] { return PyGILState_Ensure(); })) {}
  ~Locked() { PyGILState_Release(state_); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

private:
  PyGILState_STATE state_;
};

/// function(arguments...), which gives the lock away now and then, and asks for it again. Nothing of C++ lies between
/// here and Python, so nothing is destroyed without the lock where that ends the thread.
template <class... Arguments> pybind11::object called(const pybind11::object& function, const Arguments&... arguments) {
  PyObject* const returned =
      or_sleep_at_the_end([&] { return PyObject_CallFunctionObjArgs(function.ptr(), arguments.ptr()..., nullptr); });
  if (returned == nullptr) throw pybind11::error_already_set();
  return pybind11::reinterpret_steal<pybind11::object>(returned);
}

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
