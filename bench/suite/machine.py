"""machine.py: where the figures were taken: processor, kernel, disk, versions, commit, other load."""
import os
import platform
import re
import subprocess
import time


def first_line(*command, cwd=None):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=cwd, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout.strip().splitlines() or [""])[0]


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def file_system(folder):
    """Type of the file system that holds the folder: that of the longest mount point above it."""
    folder, best = os.path.realpath(folder), ("", "unknown")
    with open("/proc/mounts", encoding="utf-8") as f:
        for line in f:
            _, point, kind = line.split()[:3]
            inside = folder == point or folder.startswith(point.rstrip("/") + "/")
            if inside and len(point) > len(best[0]):
                best = (point, kind)
    return best[1]


def describe(bench, source):
    with open("/proc/meminfo", encoding="ascii") as f:
        memory = int(f.readline().split()[1]) // 1024
    redis = re.search(r"v=(\S+)", first_line("redis-server", "--version"))
    changed = first_line("git", "status", "--porcelain", cwd=source)
    commit = first_line("git", "rev-parse", "--short=12", "HEAD", cwd=source)
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processors": f"{os.cpu_count()} x {processor()}",
        "memory_mb": memory,
        "kernel": platform.release(),
        "file_system": file_system(bench.data),
        "load_before": os.getloadavg()[0],
        "halfmq": first_line(bench.program("halfmqd"), "--version"),
        "commit": commit + (" with changes" if changed else ""),
        "redis": redis.group(1) if redis else "",
    }


def sentence(m):
    return (f"{m['date']}, {m['processors']}, {m['memory_mb'] // 1024} GiB, Linux {m['kernel']}, data on "
            f"{m['file_system']}, {m['halfmq']} ({m['commit']}), Redis {m['redis']}; load before: "
            f"{m['load_before']:.2f}.")
