// runc-fit is put between a container engine and runc.
//
// A privileged container asks for every capability that the kernel knows. On a machine whose own bounding set lacks one
// (a virtual machine without CAP_SYS_RESOURCE, say) runc gives up with "unable to apply caps: operation not permitted".
// This program takes the capabilities that cannot be handed on out of the request, and then turns into runc.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Position in the list is the capability's bit (linux/capability.h).
const capabilities = `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT
SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP
MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`

// bounding returns the capabilities that this process may hand to a child.
func bounding() (map[string]bool, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(string(status), "\n") {
		value, found := strings.CutPrefix(line, "CapBnd:")
		if !found {
			continue
		}
		mask, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil {
			return nil, fmt.Errorf("CapBnd: %w", err)
		}
		allowed := map[string]bool{}
		for bit, name := range strings.Fields(capabilities) {
			if mask&(1<<bit) != 0 {
				allowed["CAP_"+name] = true
			}
		}
		return allowed, nil
	}
	return nil, fmt.Errorf("/proc/self/status has no CapBnd line")
}

// trim rewrites the capability lists of an OCI process; it reports whether anything had to go.
func trim(process map[string]any, allowed map[string]bool) bool {
	sets, _ := process["capabilities"].(map[string]any)
	trimmed := false
	for name, value := range sets {
		wanted, _ := value.([]any)
		kept := make([]any, 0, len(wanted))
		for _, capability := range wanted {
			if text, _ := capability.(string); allowed[text] {
				kept = append(kept, capability)
			}
		}
		trimmed = trimmed || len(kept) < len(wanted)
		sets[name] = kept
	}
	return trimmed
}

// rewrite trims the process that a JSON file holds: under the key "process" in a bundle's config.json, at the top in the
// file of an exec.
func rewrite(path, key string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var document map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber() // resource limits are 64 bits wide, a float64 is not
	if err := decoder.Decode(&document); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	process := document
	if key != "" {
		process, _ = document[key].(map[string]any)
	}
	allowed, err := bounding()
	if err != nil || !trim(process, allowed) {
		return err
	}
	changed, err := json.Marshal(document)
	if err != nil {
		return err
	}
	return os.WriteFile(path, changed, 0o600)
}

// prepare finds in runc's arguments which file describes the process that is about to start.
func prepare(args []string) error {
	command, bundle, process := "", ".", ""
	for i, arg := range args {
		following := ""
		if i+1 < len(args) {
			following = args[i+1]
		}
		switch arg {
		case "create", "run", "exec":
			if command == "" {
				command = arg
			}
		case "-b", "--bundle":
			bundle = following
		case "-p", "--process":
			process = following
		}
	}
	switch {
	case command == "create", command == "run":
		return rewrite(filepath.Join(bundle, "config.json"), "process")
	case command == "exec" && process != "":
		return rewrite(process, "")
	}
	return nil
}

func main() {
	err := prepare(os.Args[1:])
	if err == nil {
		runc := os.Getenv("RUNC")
		if runc == "" {
			runc = "/usr/sbin/runc"
		}
		err = syscall.Exec(runc, append([]string{"runc"}, os.Args[1:]...), os.Environ())
	}
	fmt.Fprintln(os.Stderr, "runc-fit:", err)
	os.Exit(1)
}
