// Feed: data of this process on their way to a device, lot by lot, while the device works on the lot before.
#pragma once

#include <cstddef>

namespace chainrule {

class Feed {
public:
  virtual ~Feed() = default;

  /// Where the next lot is to be written, in the memory of this process. Waits until the lot that was there has gone.
  virtual void* room() = 0;
  /// Hands the first `bytes` of it to the device, and returns where they will be there: for what the calling thread
  /// asks the device from now on until it calls send() for the second time from here.
  virtual void* send(std::size_t bytes) = 0;
};

} // namespace chainrule
