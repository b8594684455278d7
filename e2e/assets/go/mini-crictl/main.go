// mini-crictl answers the few questions that kind asks of crictl on a node, over the runtime's own API: is this image
// there (inspecti), and which images are there (images). "pods" and "ps" are for people who look into a node.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const usage = "usage: crictl inspecti IMAGE | images | pods | ps"

type client struct {
	images  cri.ImageServiceClient
	runtime cri.RuntimeServiceClient
}

func (c client) inspectImage(ctx context.Context, name string) error {
	answer, err := c.images.ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
	if err != nil {
		return err
	}
	if answer.Image == nil {
		return fmt.Errorf("no such image %q present", name)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(map[string]any{"status": map[string]any{
		"id":          answer.Image.Id,
		"repoTags":    answer.Image.RepoTags,
		"repoDigests": answer.Image.RepoDigests,
		"size":        strconv.FormatUint(answer.Image.Size, 10),
	}})
}

func (c client) listImages(ctx context.Context) error {
	answer, err := c.images.ListImages(ctx, &cri.ListImagesRequest{})
	if err != nil {
		return err
	}
	for _, image := range answer.Images {
		fmt.Printf("%v\t%.25s\t%d\n", image.RepoTags, image.Id, image.Size)
	}
	return nil
}

func (c client) listPods(ctx context.Context) error {
	answer, err := c.runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return err
	}
	for _, pod := range answer.Items {
		fmt.Printf("%.13s\t%s\t%s/%s\n", pod.Id, pod.State, pod.Metadata.Namespace, pod.Metadata.Name)
	}
	return nil
}

func (c client) listContainers(ctx context.Context) error {
	answer, err := c.runtime.ListContainers(ctx, &cri.ListContainersRequest{})
	if err != nil {
		return err
	}
	for _, container := range answer.Containers {
		pod := container.Labels["io.kubernetes.pod.name"]
		fmt.Printf("%.13s\t%s\t%s\t%s\n", container.Id, container.State, container.Metadata.Name, pod)
	}
	return nil
}

func run(args []string) error {
	endpoint := os.Getenv("CONTAINER_RUNTIME_ENDPOINT")
	if endpoint == "" {
		endpoint = "unix:///run/containerd/containerd.sock"
	}
	connection, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c := client{images: cri.NewImageServiceClient(connection), runtime: cri.NewRuntimeServiceClient(connection)}
	switch {
	case len(args) == 2 && args[0] == "inspecti":
		return c.inspectImage(ctx, args[1])
	case len(args) > 0 && args[0] == "images":
		return c.listImages(ctx)
	case len(args) > 0 && args[0] == "pods":
		return c.listPods(ctx)
	case len(args) > 0 && args[0] == "ps":
		return c.listContainers(ctx)
	}
	return fmt.Errorf("%s", usage)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "crictl:", err)
		os.Exit(1)
	}
}
