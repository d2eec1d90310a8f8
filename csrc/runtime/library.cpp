#include "runtime/library.h"

#include <dlfcn.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

#include "runtime/allocator.h"

namespace axon {
namespace {

thread_local ScratchArea* planned = nullptr;  // where a step that is being made finds its scratch memory

struct Registry {
  std::mutex mutex;
  std::map<std::string, LibraryFactory, std::less<>> factories;
};

// A function's static, because registrations of other translation units may run first.
Registry& registry() {
  static Registry instance;
  return instance;
}

LibraryFactory find(const char* symbol) {
  std::lock_guard lock(registry().mutex);
  auto entry = registry().factories.find(symbol);
  return entry == registry().factories.end() ? nullptr : entry->second;
}

}  // namespace

void* load_neighbour(const char* file) {
  Dl_info self{};
  if (dladdr(reinterpret_cast<void*>(&load_neighbour), &self) == 0) throw std::runtime_error("dladdr failed");
  std::string path = self.dli_fname;
  path.replace(path.rfind('/') + 1, std::string::npos, file);
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(dlerror());
  return library;
}

LibraryRegistration::LibraryRegistration(const char* symbol, LibraryFactory factory) {
  std::lock_guard lock(registry().mutex);
  if (!registry().factories.emplace(symbol, factory).second)
    throw std::runtime_error(std::string("library step registered twice: ") + symbol);
}

Scratch::Scratch(int64_t nbytes) : area_(planned), nbytes_(nbytes) {
  if (planned == nullptr) throw std::logic_error("Scratch: expected the constructor of a library step");
  if (nbytes < 0 || nbytes > kLargestBlock) throw OutOfMemory(nbytes);  // so that no sum of them overflows
  offset_ = planned->next_;
  planned->next_ = offset_ + aligned(nbytes);
}

char* Scratch::data() const { return area_ == nullptr ? nullptr : area_->memory_ + offset_; }

std::unique_ptr<LibraryStep> ScratchArea::make(LibraryFactory factory, const LibraryCall& call) {
  struct Planning {
    explicit Planning(ScratchArea* area) : outer(std::exchange(planned, area)) {}
    ~Planning() { planned = outer; }
    ScratchArea* outer;
  };
  const Planning planning(this);
  next_ = 0;
  std::unique_ptr<LibraryStep> step = factory(call);
  nbytes_ = std::max(nbytes_, next_);
  return step;
}

LibraryFactory find_library_factory(const char* symbol) {
  if (LibraryFactory factory = find(symbol)) return factory;
  load_neighbour("libaxon_cpu.so");  // brings oneDNN, which costs milliseconds and 50 MB: not before it is needed
  if (LibraryFactory factory = find(symbol)) return factory;
  throw std::runtime_error(std::string("no library step is named ") + symbol);
}

}  // namespace axon
