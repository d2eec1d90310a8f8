#include "runtime/kernel.h"

#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

namespace axon {
namespace {

// The loader maps what the headers promise and dies of SIGBUS where the file is shorter: so their promises are checked.
void check_shared_library(std::span<const char> bytes) {
  const auto refuse = [](const char* why) {
    throw std::invalid_argument(std::string("load_library: expected an x86-64 shared library, got bytes that ") + why);
  };
  Elf64_Ehdr header{};
  if (bytes.size() < sizeof header) refuse("are too few");
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) refuse("do not begin as ELF");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64 || header.e_type != ET_DYN)
    refuse("are for another machine or no library");
  const uint64_t size = bytes.size();
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phoff > size ||
      uint64_t{header.e_phnum} * sizeof(Elf64_Phdr) > size - header.e_phoff)
    refuse("are cut off");
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    std::memcpy(&segment, bytes.data() + header.e_phoff + i * sizeof segment, sizeof segment);
    if (segment.p_offset > size || segment.p_filesz > size - segment.p_offset) refuse("are cut off");
  }
}

// The loader takes two libraries of one path for the same, and descriptors are used again: so the path, which must
// lead through the descriptor, spells a count in steps that lead nowhere.
std::string unique_path(int descriptor) {
  static std::atomic<uint32_t> loaded{0};
  std::string path = "/proc/self";
  uint32_t count = ++loaded;
  for (int bit = 0; bit < 32; ++bit, count >>= 1) path += (count & 1) != 0 ? "/." : "//";
  return path + "/fd/" + std::to_string(descriptor);
}

struct Descriptor {
  int number;
  ~Descriptor() { close(number); }
};

}  // namespace

KernelLibrary::KernelLibrary(std::vector<char> bytes_) : bytes(std::move(bytes_)) {
  check_shared_library(bytes);
  const Descriptor file{memfd_create("axon-kernels", MFD_CLOEXEC)};
  if (file.number < 0) throw std::runtime_error("load_library: memfd_create failed");
  for (size_t written = 0; written < bytes.size();) {
    const ssize_t count = write(file.number, bytes.data() + written, bytes.size() - written);
    if (count <= 0) throw std::runtime_error("load_library: no memory for the library's bytes");
    written += static_cast<size_t>(count);
  }
  handle = dlopen(unique_path(file.number).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) throw std::invalid_argument(std::string("load_library: ") + dlerror());
}

axon_kernel KernelLibrary::find(const std::string& symbol) const {
  void* address = dlsym(handle, symbol.c_str());
  if (address == nullptr) throw std::invalid_argument("load_library: the library has no symbol " + symbol);
  return reinterpret_cast<axon_kernel>(address);
}

}  // namespace axon
