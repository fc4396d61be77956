// Made from diffrun_contracts by `npm run types`; changes here are lost.

/**
 * A run's state in one word, for people; the conditions are the truth.
 */
export type RunPhase =
  | "Pending"
  | "Invalid"
  | "Queued"
  | "Running"
  | "Waiting"
  | "Paused"
  | "Succeeded"
  | "Failed"
  | "Rejected"
  | "Cancelled"
  | "Unknown";
/**
 * The diffusers schedulers that diffrun is tested with, by class name without `Scheduler`.
 */
export type SamplerName =
  | "DDIM"
  | "DDPM"
  | "PNDM"
  | "EulerDiscrete"
  | "EulerAncestralDiscrete"
  | "HeunDiscrete"
  | "DPMSolverMultistep"
  | "DEISMultistep"
  | "UniPCMultistep";
/**
 * How a scheduler spreads its steps over the training timesteps (Lin et al. 2023, table 2).
 */
export type TimestepSpacing = "leading" | "trailing" | "linspace";
/**
 * The floating-point type of the UNet; the scheduler's arithmetic is at least float32.
 */
export type DType = "float32" | "float64" | "bfloat16" | "float16";
/**
 * Whole configurations: three for the fixed networks, on Pokémon and CIFAR-10, and one that needs no download.
 */
export type Preset = "pokemon-64" | "cifar10-e1" | "cifar10-64" | "digits";
/**
 * The architectures that can be trained, by name.
 */
export type ModelName = "ddpm-64" | "unet-cifar32" | "enhanced-unet-64" | "unet2d";
/**
 * How βₜ grows, by diffusers' names.
 */
export type BetaSchedule = "linear" | "scaled_linear" | "squaredcos_cap_v2";
/**
 * How the timesteps of a batch are drawn.
 */
export type TimestepSampling = "uniform" | "stratified";
/**
 * What the learning rate does after its warm-up.
 */
export type LearningRateSchedule = "cosine" | "constant";
/**
 * What the forward and backward passes compute in; weights and optimiser stay float32.
 */
export type Precision = "auto" | "float32" | "bfloat16";
/**
 * What the images are compared by. Only `inception` gives a FID; `classifier` gives a metric of another name.
 */
export type Features = "inception" | "classifier";
/**
 * The file format of captured latents; `pt` names a safetensors file, which torch users load without a pickle.
 */
export type LatentFormat = "npy" | "pt";
/**
 * The file format of captured frames.
 */
export type FrameFormat = "png" | "jpg";
/**
 * What an expired gate means.
 */
export type OnTimeout = "Reject" | "Approve";
/**
 * The inspectors that the bundle brings.
 */
export type InspectorType = "metric_line_chart" | "scalar_summary" | "slideshow";
/**
 * A block's state. Pending with an attempt has a Job whose pods do not run yet.
 */
export type BlockState = "Pending" | "Running" | "Succeeded" | "Failed" | "Skipped" | "Cancelled";
/**
 * Why a block is in its state.
 */
export type BlockReason =
  | "WaitingForDependencies"
  | "WaitingForGate"
  | "WaitingForResume"
  | "AdmissionPolicyMissing"
  | "Starting"
  | "Queued"
  | "Unschedulable"
  | "ImagePullFailed"
  | "ContainerConfigError"
  | "Running"
  | "Retrying"
  | "Completed"
  | "UserError"
  | "WorkerFailed"
  | "OOMKilled"
  | "Evicted"
  | "DeadlineExceeded"
  | "Lost"
  | "NameCollision"
  | "JobRefused"
  | "DependencyFailed"
  | "GateRejected"
  | "GateExpired"
  | "Cancelled";
/**
 * A gate's state; only the operator writes it.
 */
export type GateState = "Waiting" | "Approved" | "Rejected" | "Expired";
/**
 * What an approver may decide.
 */
export type GateDecision = "Approved" | "Rejected";
/**
 * The conditions of a run. Those waited for (`Finished`, `GatePending`) are True when it is time.
 */
export type ConditionType = "SpecValid" | "GatePending" | "Paused" | "Finished" | "Succeeded";
/**
 * What can be done to a run.
 */
export type ControlAction = "pause" | "resume" | "cancel";
/**
 * What was published.
 */
export type Value = "NaN" | "Infinity" | "-Infinity";
/**
 * The history was cut off, or completed from the files, or a retry wrote points again.
 */
export type Reason = "trimmed" | "completed" | "superseded";

/**
 * All of the API in one model, so that one JSON schema holds all types.
 */
export interface Api {
  problem: Problem;
  session: Session;
  runs: RunList;
  run: RunDetail;
  gate: GateRequest;
  control: ControlRequest;
  metrics: MetricList;
  series: SeriesList;
  statistics: StatisticsList;
  artifacts: ArtifactList;
  /**
   * `GET api/events`.
   */
  stream:
    StreamCursor | StreamEvent | StreamStatus | StreamReset | StreamLive | StreamHeartbeat | StreamEnd | StreamDenied;
  /**
   * `GET api/runs/events`.
   */
  runsStream: RunsSnapshot | RunChanged | RunGone | StreamHeartbeat | StreamDenied;
}
/**
 * Why a request was refused.
 */
export interface Problem {
  /**
   * A stable word, for example `RunNotFound`.
   */
  code: string;
  /**
   * What is wrong and what to do about it; where Kubernetes refused, its own words.
   */
  message: string;
  /**
   * The parameter that is wrong.
   */
  field?: string | null;
  /**
   * The kubectl line by which an administrator gives the right that is missing.
   */
  grant?: string | null;
}
/**
 * Who looks, and whether one has to say so.
 */
export interface Session {
  /**
   * Whether a token has to be exchanged for a session.
   */
  authRequired: boolean;
  /**
   * The user name that Kubernetes gave the token; null without a session.
   */
  user?: string | null;
  /**
   * When the session ends.
   */
  expires?: string | null;
  /**
   * The gateway's version.
   */
  version: string;
}
/**
 * `GET api/runs`, and the first message of `GET api/runs/events`.
 */
export interface RunList {
  /**
   * Gates that wait first, then the newest first.
   */
  runs: RunEntry[];
  /**
   * What is missing and why, for example a namespace that cannot be watched.
   */
  problems: string[];
  /**
   * Why nothing is listed, where a right is missing.
   */
  denied?: Problem | null;
}
/**
 * A line of the list of runs.
 */
export interface RunEntry {
  /**
   * The run's namespace.
   */
  namespace: string;
  /**
   * The run's name.
   */
  name: string;
  /**
   * The run's UID, by which everything else asks for it.
   */
  uid: string;
  phase: RunPhase;
  /**
   * Of the condition Succeeded.
   */
  reason?: string | null;
  /**
   * Of the condition Succeeded, or what is wrong with the spec.
   */
  message?: string | null;
  /**
   * Whether the run will never change again.
   */
  over: boolean;
  /**
   * Whether the object is gone from the cluster and the run is shown from its files.
   */
  archived: boolean;
  /**
   * When the run was created.
   */
  created?: string | null;
  /**
   * When its first Job was about to be created.
   */
  started?: string | null;
  /**
   * When it ended.
   */
  completed?: string | null;
  /**
   * The block that runs, or whose gate waits.
   */
  block?: string | null;
  /**
   * Blocks that have succeeded.
   */
  blocksDone: number;
  /**
   * Blocks that there are.
   */
  blocksTotal: number;
  /**
   * Units of work of the current block that are done.
   */
  done?: number | null;
  /**
   * Units of work of the current block.
   */
  total?: number | null;
  /**
   * When the current block will be done, at the speed seen so far; null where nothing tells.
   */
  eta?: string | null;
  /**
   * Blocks whose gates wait for a decision.
   */
  waitingGates: string[];
  /**
   * Null until the run's events have been read.
   */
  sparkline?: Sparkline | null;
  /**
   * The newest image's thumbnail, relative to the API's root.
   */
  thumbnail?: string | null;
}
/**
 * The last values of the metric that a run wrote last.
 */
export interface Sparkline {
  /**
   * The metric.
   */
  name: string;
  /**
   * At most 40, oldest first; null where a value is not finite.
   */
  values: (number | null)[];
}
/**
 * `GET api/runs/{namespace}/{name}`, and the message `status` of `GET api/events`.
 */
export interface RunDetail {
  entry: RunEntry;
  /**
   * As applied; null for a run that only its events tell of, or that these words cannot express.
   */
  spec?: DiffusionRunSpec | null;
  status: DiffusionRunStatus;
  /**
   * Those of the spec, or the three standard ones.
   */
  inspectors: Inspector[];
  /**
   * The blocks' graph.
   */
  edges: Edge[];
  permissions: Permissions;
}
/**
 * A batch of diffusion-model work: blocks, their order, their gates and the run's inspectors.
 */
export interface DiffusionRunSpec {
  /**
   * The seed that every sample's own seed is counted from.
   */
  seed: number;
  /**
   * The run's steps; each depends on the one before it unless `dependsOn` says otherwise.
   *
   * @minItems 1
   * @maxItems 64
   */
  blocks: Block[];
  /**
   * Run-wide values of where and how pods run.
   */
  defaults?: Execution | null;
  /**
   * What the run's page shows; the three standard inspectors where unset.
   */
  inspectors?: Inspector[] | null;
  /**
   * Hold the run: running blocks stop between two steps, no further block starts.
   */
  pause: boolean;
  /**
   * End the run: its Jobs are deleted, what is written stays. Cannot be taken back.
   */
  cancel: boolean;
}
/**
 * One step of the run: exactly one block type, run by one Job.
 */
export interface Block {
  /**
   * `nvidia.com/gpu` for each pod. By default the installation's value for blocks that compute, 0 for others.
   */
  gpus?: number | null;
  /**
   * Requests and limits of the container.
   */
  resources?: Resources | null;
  /**
   * Labels that the node must have.
   */
  nodeSelector?: {
    /**
     * This interface was referenced by `undefined`'s JSON-Schema definition
     * via the `patternProperty` "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$".
     */
    [k: string]: string;
  } | null;
  /**
   * Taints that are tolerated; the GPU taint is tolerated by itself where GPUs are asked for.
   */
  tolerations?: Toleration[] | null;
  /**
   * The pods' PriorityClass.
   */
  priorityClassName?: string | null;
  /**
   * The Kueue LocalQueue that admits the block's Job.
   */
  queueName?: string | null;
  /**
   * How often a pod that failed is replaced, for each shard. 2 by default.
   */
  retries?: number | null;
  /**
   * How long the block may run; queued, gated and paused time do not count.
   */
  activeDeadlineSeconds?: number | null;
  /**
   * Annotations of the pods; those of diffrun.dev are refused.
   */
  podAnnotations?: {
    /**
     * This interface was referenced by `undefined`'s JSON-Schema definition
     * via the `patternProperty` "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$".
     */
    [k: string]: string;
  } | null;
  /**
   * The pods' RuntimeClass.
   */
  runtimeClassName?: string | null;
  /**
   * Secrets with registry credentials, by name.
   */
  imagePullSecrets?: string[] | null;
  /**
   * Size of `/dev/shm`, for example `1Gi`.
   */
  sharedMemory?: string | null;
  /**
   * A DNS label, unique in the run.
   */
  name: string;
  /**
   * Fetch a checkpoint from the Hugging Face Hub.
   */
  downloadCheckpoint?: DownloadCheckpoint | null;
  /**
   * Generate a few samples for review.
   */
  generatePreview?: GeneratePreview | null;
  /**
   * Generate the full batch.
   */
  generateFull?: GenerateFull | null;
  /**
   * Train a model.
   */
  train?: Train | null;
  /**
   * Compare generated images with real ones (FID).
   */
  evaluate?: Evaluate | null;
  /**
   * Look into what a model has learnt.
   */
  diagnose?: Diagnose | null;
  /**
   * Class-conditional samples with guidance, forces and drifts.
   */
  infer?: InferenceConfig | null;
  /**
   * Run a block of another package.
   */
  custom?: Custom | null;
  /**
   * Blocks that must succeed first; by default the one before, `[]` for none.
   */
  dependsOn?: string[] | null;
  /**
   * Hold this block's descendants for a decision once it has succeeded.
   */
  gate?: Gate | null;
  /**
   * Split the block's work over this many pods of one Indexed Job.
   */
  shards: number;
}
/**
 * Requests and limits of a block's container; GPUs are asked for by `gpus`.
 */
export interface Resources {
  /**
   * What the scheduler sets aside.
   */
  requests?: ResourceList | null;
  /**
   * What the container may not exceed.
   */
  limits?: ResourceList | null;
}
/**
 * Amounts of the ordinary resources, as Kubernetes quantities.
 */
export interface ResourceList {
  /**
   * Cores, for example `500m` or `2`.
   */
  cpu?: string | null;
  /**
   * Bytes, for example `4Gi`.
   */
  memory?: string | null;
  /**
   * Local disk, for example `2Gi`.
   */
  "ephemeral-storage"?: string | null;
}
/**
 * A Kubernetes toleration.
 */
export interface Toleration {
  /**
   * The taint's key; empty matches all with operator Exists.
   */
  key?: string | null;
  /**
   * Exists or Equal.
   */
  operator: string;
  /**
   * The taint's value, with operator Equal.
   */
  value?: string | null;
  /**
   * Which effect is tolerated; all where it is unset.
   */
  effect?: string | null;
  /**
   * How long, with effect NoExecute.
   */
  tolerationSeconds?: number | null;
}
/**
 * Fetches a diffusers checkpoint from the Hugging Face Hub into the workspace's cache.
 */
export interface DownloadCheckpoint {
  /**
   * The repository, `owner/name`.
   */
  repo: string;
  /**
   * Branch, tag or commit; resolved to a commit once, which is then used throughout.
   */
  revision: string;
  /**
   * Refuse a revision that is not a full 40-digit commit.
   */
  requireCommit: boolean;
  /**
   * A Secret with an access token, for a gated or private repository.
   */
  tokenSecret?: SecretKeyRef | null;
}
/**
 * One key of a Secret in the run's own namespace.
 */
export interface SecretKeyRef {
  /**
   * The Secret's name.
   */
  name: string;
  /**
   * The key within the Secret.
   */
  key: string;
}
/**
 * Generates a few samples for review; sample i is seeded `seed + i`.
 */
export interface GeneratePreview {
  sampler: Sampler;
  dtype: DType;
  /**
   * A model in the workspace; by default the `model_path` output of a block this one depends on.
   */
  modelPath?: string | null;
  /**
   * How many samples.
   */
  samples: number;
  /**
   * Samples denoised together; never changes an image.
   */
  batchSize: number;
}
/**
 * Which scheduler denoises, and in how many steps.
 */
export interface Sampler {
  name: SamplerName;
  /**
   * Inference steps. Heun and PNDM call the UNet more often than this.
   */
  steps: number;
  /**
   * DDIM's η (Song et al. 2020, eq. 16): 0 is deterministic. Other schedulers take 0 only.
   */
  eta: number;
  /**
   * Overrides the spacing in the checkpoint's scheduler configuration.
   */
  timestepSpacing?: TimestepSpacing | null;
}
/**
 * Generates the full batch; sample i is seeded `seed + seedOffset + i`.
 */
export interface GenerateFull {
  sampler: Sampler;
  dtype: DType;
  /**
   * A model in the workspace; by default the `model_path` output of a block this one depends on.
   */
  modelPath?: string | null;
  /**
   * How many samples, over all shards.
   */
  samples: number;
  /**
   * Samples denoised together; never changes an image.
   */
  batchSize: number;
  /**
   * Keeps the full batch's seeds apart from the preview's; at least the number of preview samples.
   */
  seedOffset: number;
}
/**
 * Trains a model; its averaged weights become the `model_path` of what follows.
 */
export interface Train {
  /**
   * Whole configurations by name; whatever else is set here overrides them.
   */
  preset?: Preset | null;
  /**
   * Which network; the preset's by default.
   */
  model?: TrainModel | null;
  /**
   * Which images; the preset's by default, where it names some.
   */
  data?: Dataset | null;
  /**
   * The forward process and the objective.
   */
  diffusion?: Diffusion | null;
  /**
   * AdamW, its schedule and the clipping.
   */
  optimizer?: Optimizer | null;
  /**
   * The averaged weights.
   */
  ema?: Ema | null;
  /**
   * Images a step, over all workers. 32 by default.
   */
  batchSize?: number | null;
  /**
   * Passes over the data; either this or `steps`. 1000 by default.
   */
  epochs?: number | null;
  /**
   * Optimiser steps; either this or `epochs`.
   */
  steps?: number | null;
  /**
   * Of the first weights, the order of the data and the noise; the run's seed by default.
   */
  seed?: number | null;
  /**
   * `auto` by default: bfloat16 where the device computes in it.
   */
  precision?: Precision | null;
  /**
   * Compile the network with torch.compile. Off by default.
   */
  compile?: boolean | null;
  /**
   * How often a conditional model is shown the null class instead (Ho & Salimans 2022). 0.1 by default.
   */
  classDropout?: number | null;
  /**
   * Grids of samples during training.
   */
  sampleGrid?: SampleGrid | null;
  /**
   * When the training state is saved.
   */
  checkpoint?: Checkpointing | null;
  /**
   * A checkpoint of another run to go on from. A restarted pod resumes its own by itself.
   */
  resume?: string | null;
  /**
   * Pods that train together, data-parallel; `batchSize` is shared out between them.
   */
  workers: number;
}
/**
 * Which network is trained.
 */
export interface TrainModel {
  name: ModelName;
  /**
   * For `unet2d`: the configuration of diffusers' UNet2DModel, by its own keys.
   */
  config?: {
    [k: string]: unknown;
  } | null;
  /**
   * Give the network the class of each image, and a null class besides (`unet2d` only). Off by default.
   */
  conditional?: boolean | null;
}
/**
 * One source of images.
 */
export interface Dataset {
  /**
   * scikit-learn's digits.
   */
  digits?: Digits | null;
  /**
   * CIFAR-10's binary files.
   */
  cifar10?: Cifar10 | null;
  /**
   * EMNIST's idx files.
   */
  emnist?: Emnist | null;
  /**
   * A folder of images.
   */
  imageFolder?: ImageFolder | null;
  /**
   * A dataset of the Hub.
   */
  hub?: HubDataset | null;
  /**
   * Side of the square that images are resized to; by default the model's.
   */
  imageSize?: number | null;
  /**
   * Mirror half of the images at random; by default for CIFAR-10 and for images without classes alone.
   */
  flip?: boolean | null;
  /**
   * The held-out part, where the source has one, instead of the training part.
   */
  test: boolean;
}
/**
 * scikit-learn's 1,797 handwritten digits, 8×8 and grey, in ten classes: the one that needs no download.
 */
export interface Digits {}
/**
 * CIFAR-10 (Krizhevsky 2009) in its binary distribution, which holds no pickle.
 */
export interface Cifar10 {
  /**
   * The folder with `data_batch_1.bin` … `data_batch_5.bin` and `test_batch.bin`.
   */
  path: string;
}
/**
 * EMNIST (Cohen et al. 2017) as its idx files, gzipped or not.
 */
export interface Emnist {
  /**
   * The folder with `emnist-<split>-train-images-idx3-ubyte` and its siblings.
   */
  path: string;
  /**
   * Which of EMNIST's splits; `byclass` has the 62 classes 0-9, A-Z, a-z.
   */
  split: string;
}
/**
 * A folder of PNG, JPEG or WebP images; where they lie in subfolders, each of these is a class.
 */
export interface ImageFolder {
  /**
   * The folder.
   */
  path: string;
}
/**
 * An image dataset of the Hugging Face Hub, by the Parquet files of its repository.
 */
export interface HubDataset {
  /**
   * The dataset's repository, `owner/name`.
   */
  repo: string;
  /**
   * Branch, tag or commit; resolved to a commit once.
   */
  revision: string;
  /**
   * The folder of the repository to read, where Parquet files lie in several, one for each of its subsets.
   */
  folder?: string | null;
  /**
   * The column that holds the images.
   */
  imageColumn: string;
  /**
   * The column that holds the class; without it the data has none.
   */
  labelColumn?: string | null;
  /**
   * A Secret with an access token, for a gated or private repository.
   */
  tokenSecret?: SecretKeyRef | null;
}
/**
 * The forward process and the objective (Ho et al. 2020).
 */
export interface Diffusion {
  /**
   * K, the number of training timesteps. 1000 by default.
   */
  timesteps?: number | null;
  /**
   * Linear by default.
   */
  betaSchedule?: BetaSchedule | null;
  /**
   * β₁. 1e-4 by default.
   */
  betaStart?: number | null;
  /**
   * β_K. 0.02 by default.
   */
  betaEnd?: number | null;
  /**
   * γ of the Min-SNR weighting (Hang et al. 2023); unset for the plain mean squared error.
   */
  minSnrGamma?: number | null;
  /**
   * Uniform by default.
   */
  timestepSampling?: TimestepSampling | null;
}
/**
 * AdamW and what surrounds it.
 */
export interface Optimizer {
  /**
   * The peak learning rate. 2e-4 by default.
   */
  learningRate?: number | null;
  /**
   * Cosine annealing to 0 over the whole training by default.
   */
  schedule?: LearningRateSchedule | null;
  /**
   * Steps of the linear warm-up. 500 by default, 0 for none.
   */
  warmupSteps?: number | null;
  /**
   * AdamW's decoupled weight decay. 0.01 by default.
   */
  weightDecay?: number | null;
  /**
   * Gradients are clipped to this norm. 1.0 by default, 0 for no clipping.
   */
  maxGradNorm?: number | null;
}
/**
 * The exponential moving average of the weights, updated at every step.
 */
export interface Ema {
  /**
   * 0.9999 by default.
   */
  decay?: number | null;
  /**
   * Let the decay grow as min(decay, (1 + step) / (10 + step)). Off by default.
   */
  warmup?: boolean | null;
}
/**
 * The grids of samples that are drawn with the averaged weights during training.
 */
export interface SampleGrid {
  /**
   * A grid each so many epochs, and one at the end. 10 by default, where `everySteps` is unset.
   */
  everyEpochs?: number | null;
  /**
   * A grid each so many steps, and one at the end.
   */
  everySteps?: number | null;
  /**
   * Images of a grid. 16 by default.
   */
  samples?: number | null;
  /**
   * Sample i is seeded `seed + i`. 0 by default.
   */
  seed?: number | null;
  /**
   * DDIM with 50 steps by default.
   */
  sampler?: Sampler | null;
}
/**
 * When the training state is saved, besides at the end and at SIGTERM.
 */
export interface Checkpointing {
  /**
   * A checkpoint each so many epochs. 1 by default, where `everySteps` is unset.
   */
  everyEpochs?: number | null;
  /**
   * A checkpoint each so many steps.
   */
  everySteps?: number | null;
  /**
   * The newest so many are kept. 2 by default.
   */
  keep?: number | null;
}
/**
 * Compares generated images with real ones: the Fréchet distance of their features.
 */
export interface Evaluate {
  /**
   * n, how many images, reported beside the distance; by default 10,000 are drawn, or all there are taken.
   */
  samples?: number | null;
  /**
   * Images denoised and looked at together.
   */
  batchSize: number;
  sampler: Sampler;
  /**
   * Sample i is seeded `seed + seedOffset + i`.
   */
  seedOffset: number;
  dtype: DType;
  /**
   * A model in the workspace; by default the `model_path` output of a block this one depends on.
   */
  modelPath?: string | null;
  /**
   * A folder of images already generated, instead of drawing some.
   */
  artifacts?: string | null;
  /**
   * Take the images that a block this one depends on has generated, its `artifacts_path` output; draw none.
   */
  generated: boolean;
  features: Features;
  /**
   * With `features: inception`: its weights.
   */
  weights?: InceptionWeights | null;
  reference: Reference;
}
/**
 * The weights of the Inception-v3 that FID is defined by (Heusel et al. 2017).
 */
export interface InceptionWeights {
  /**
   * A file in the workspace; either this or `url`.
   */
  path?: string | null;
  /**
   * Where to fetch it from; either this or `path`.
   */
  url?: string | null;
  /**
   * The file's SHA-256; another file is refused.
   */
  sha256: string;
}
/**
 * What generated images are compared with: given statistics, or a dataset; exactly one.
 */
export interface Reference {
  /**
   * An `.npz` with `mu` and `sigma` of the same features.
   */
  statistics?: string | null;
  /**
   * A dataset whose statistics are computed once, and kept in the workspace's cache.
   */
  data?: Dataset | null;
}
/**
 * Looks into what a model has learnt: how it denoises at chosen timesteps, and one grid of plain samples.
 */
export interface Diagnose {
  data: Dataset;
  /**
   * The timesteps t of the grids x₀ | x_t | x̂₀.
   *
   * @minItems 1
   * @maxItems 64
   */
  timesteps: number[];
  /**
   * Rows of each such grid; `diagnose/x0_mse` is over these.
   */
  images: number;
  /**
   * Images of the grid of plain samples, seeded `seed + i`.
   */
  samples: number;
  sampler: FiftyStepDDPM;
  /**
   * Of the noise and the samples.
   */
  seed: number;
  /**
   * Also run the two tests of the parts: the network learns to denoise, a step with the true ε comes closer to x₀.
   */
  selfTest: boolean;
  /**
   * A model in the workspace; by default the `model_path` output of a block this one depends on.
   */
  modelPath?: string | null;
}
/**
 * Which scheduler denoises, and in how many steps: DDPM and 50 by default.
 */
export interface FiftyStepDDPM {
  name: SamplerName;
  /**
   * Inference steps.
   */
  steps: number;
  /**
   * DDIM's η (Song et al. 2020, eq. 16): 0 is deterministic. Other schedulers take 0 only.
   */
  eta: number;
  /**
   * Overrides the spacing in the checkpoint's scheduler configuration.
   */
  timestepSpacing?: TimestepSpacing | null;
}
/**
 * Class-conditional samples with guidance, forces and drifts.
 */
export interface InferenceConfig {
  /**
   * The target class, by its name in the checkpoint's list.
   */
  character: string;
  /**
   * Samples, over all shards.
   */
  total: number;
  /**
   * A class-conditional model in the workspace; by default the `model_path` output of a block before this one.
   */
  modelPath?: string | null;
  /**
   * Samples denoised together; never changes an image.
   */
  batchSize: number;
  sampler: FiftyStepSampler;
  /**
   * Sample i is seeded `seed + i`; by default the run's seed.
   */
  seed?: number | null;
  dtype: DType;
  /**
   * A preset force stack, by name; its forces come before those of `force.forceStack`.
   */
  preset?: string | null;
  /**
   * The preset's arguments.
   */
  presetArgs: {
    [k: string]: unknown;
  };
  capture: CaptureConfig;
  video: VideoConfig;
  drift: DriftConfig;
  force: ForceConfig;
  env: EnvironmentConfig;
}
/**
 * Which scheduler denoises, and in how many steps: DDIM and 50 by default.
 */
export interface FiftyStepSampler {
  name: SamplerName;
  /**
   * Inference steps.
   */
  steps: number;
  /**
   * DDIM's η (Song et al. 2020, eq. 16): 0 is deterministic. Other schedulers take 0 only.
   */
  eta: number;
  /**
   * Overrides the spacing in the checkpoint's scheduler configuration.
   */
  timestepSpacing?: TimestepSpacing | null;
}
/**
 * What is kept of the way from noise to image.
 */
export interface CaptureConfig {
  /**
   * The state x_t of every step.
   */
  saveLatents: boolean;
  /**
   * An image of every step.
   */
  saveFrames: boolean;
  /**
   * The difference between each two steps.
   */
  saveDeltas: boolean;
  /**
   * An MP4 of the steps.
   */
  saveVideo: boolean;
  latentFormat: LatentFormat;
  frameFormat: FrameFormat;
}
/**
 * The MP4 of a sample's steps.
 */
export interface VideoConfig {
  /**
   * Frames a second.
   */
  fps: number;
}
/**
 * What is done to the state after each scheduler step.
 */
export interface DriftConfig {
  /**
   * Whether anything is.
   */
  enabled: boolean;
  /**
   * The drift, by its name in the registry.
   */
  functionName: string;
  /**
   * Magnitude.
   */
  scale: number;
  /**
   * Factor a step.
   */
  decay: number;
  /**
   * Further parameters of the drift.
   */
  params: {
    [k: string]: unknown;
  };
}
/**
 * What is done to the predicted noise before each scheduler step.
 */
export interface ForceConfig {
  /**
   * s of ε∅ + s (ε_c − ε∅) (Ho & Salimans 2022): 0 is unconditional, 1 conditional. 7.5 by default; 0 with a preset,
   * unless it is given.
   */
  guidanceScale: number;
  /**
   * Forces, each with its `name` and parameters; their contributions are summed and added to the guided noise.
   *
   * @maxItems 32
   */
  forceStack: {
    [k: string]: unknown;
  }[];
  /**
   * Parameters that every force gets beside its own.
   */
  globalCfg: {
    [k: string]: unknown;
  };
  /**
   * Bounds each element of the forces' sum.
   */
  clipAbs?: number | null;
}
/**
 * Where it runs; by default what the machine has.
 */
export interface EnvironmentConfig {
  /**
   * `cpu` or `cuda:0`.
   */
  device?: string | null;
}
/**
 * Runs a block of another package, found by its entry point in the group `diffrun.blocks`.
 */
export interface Custom {
  /**
   * The entry point's name.
   */
  type: string;
  /**
   * Handed to the block as they are; the block validates them.
   */
  params: {
    [k: string]: unknown;
  };
}
/**
 * Holds the descendants of its block until somebody with the right to do so decides.
 */
export interface Gate {
  /**
   * What the approver is asked.
   */
  prompt: string;
  /**
   * How long the gate waits; without it, for ever.
   */
  timeoutSeconds?: number | null;
  onTimeout: OnTimeout;
}
/**
 * Where and how a block's pods run; `spec.defaults` gives run-wide values that a block overrides.
 */
export interface Execution {
  /**
   * `nvidia.com/gpu` for each pod. By default the installation's value for blocks that compute, 0 for others.
   */
  gpus?: number | null;
  /**
   * Requests and limits of the container.
   */
  resources?: Resources | null;
  /**
   * Labels that the node must have.
   */
  nodeSelector?: {
    /**
     * This interface was referenced by `undefined`'s JSON-Schema definition
     * via the `patternProperty` "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$".
     */
    [k: string]: string;
  } | null;
  /**
   * Taints that are tolerated; the GPU taint is tolerated by itself where GPUs are asked for.
   */
  tolerations?: Toleration[] | null;
  /**
   * The pods' PriorityClass.
   */
  priorityClassName?: string | null;
  /**
   * The Kueue LocalQueue that admits the block's Job.
   */
  queueName?: string | null;
  /**
   * How often a pod that failed is replaced, for each shard. 2 by default.
   */
  retries?: number | null;
  /**
   * How long the block may run; queued, gated and paused time do not count.
   */
  activeDeadlineSeconds?: number | null;
  /**
   * Annotations of the pods; those of diffrun.dev are refused.
   */
  podAnnotations?: {
    /**
     * This interface was referenced by `undefined`'s JSON-Schema definition
     * via the `patternProperty` "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$".
     */
    [k: string]: string;
  } | null;
  /**
   * The pods' RuntimeClass.
   */
  runtimeClassName?: string | null;
  /**
   * Secrets with registry credentials, by name.
   */
  imagePullSecrets?: string[] | null;
  /**
   * Size of `/dev/shm`, for example `1Gi`.
   */
  sharedMemory?: string | null;
}
/**
 * An inspector attached to the run's page.
 */
export interface Inspector {
  /**
   * The inspector's heading.
   */
  title: string;
  type: InspectorType;
  /**
   * The metrics to start with.
   */
  metrics?: string[] | null;
  /**
   * Which artifacts to show.
   */
  filter?: ArtifactFilter | null;
}
/**
 * Which artifacts an inspector shows.
 */
export interface ArtifactFilter {
  /**
   * Only artifacts of this schema type.
   */
  schemaType?: string | null;
  /**
   * Only artifacts that bear all of these tags.
   */
  tags?: string[] | null;
}
/**
 * What has happened: the ledger of blocks, the gates, the conditions.
 */
export interface DiffusionRunStatus {
  /**
   * The spec's generation that this status speaks of.
   */
  observedGeneration: number;
  /**
   * When the first Job was about to be created; the spec is frozen from then on.
   */
  startTime?: string | null;
  /**
   * When the run ended.
   */
  completionTime?: string | null;
  /**
   * The block that runs, or whose gate waits.
   */
  currentBlock?: string | null;
  /**
   * Blocks that have succeeded, of how many.
   */
  done?: string | null;
  /**
   * The current block's progress, for people.
   */
  progress?: string | null;
  /**
   * The ledger, in the order of the spec.
   *
   * @maxItems 64
   */
  blocks: BlockStatus[];
  /**
   * The gates that have opened, by block.
   */
  gates: {
    [k: string]: GateStatus;
  };
  /**
   * SpecValid, GatePending, Paused, Finished, Succeeded.
   *
   * @maxItems 8
   */
  conditions: Condition[];
}
/**
 * One line of the ledger.
 */
export interface BlockStatus {
  /**
   * The block's name.
   */
  name: string;
  state: BlockState;
  reason: BlockReason;
  /**
   * Why, in a sentence.
   */
  message?: string | null;
  /**
   * How many Jobs have been started for the block.
   */
  attempt: number;
  /**
   * Attempts among them that an eviction, a drain or a preemption ended: they cost no retry.
   */
  disruptions: number;
  /**
   * The current attempt's Job.
   */
  jobRef?: JobRef | null;
  /**
   * What ended the first of pods that work together: by the time that their Job has failed, they may be gone.
   */
  failure?: PodFailure | null;
  /**
   * When the current attempt's first pod ran.
   */
  startTime?: string | null;
  /**
   * When the block ended.
   */
  completionTime?: string | null;
  /**
   * Since when the running block has been held: all its running pods told to pause, or its Job suspended.
   */
  pausedSince?: string | null;
  /**
   * Held time before that, which no deadline counts.
   */
  pausedSeconds: number;
  /**
   * From the workers' progress events, at most twice a minute.
   */
  progress?: Progress | null;
  /**
   * Shard 0's outputs, for display; at most 1 KiB.
   */
  outputs?: {
    [k: string]: string | number | boolean;
  } | null;
}
/**
 * The Job of a block's current attempt.
 */
export interface JobRef {
  /**
   * The Job's name.
   */
  name: string;
  /**
   * The Job's UID, once it has been seen.
   */
  uid?: string | null;
}
/**
 * Why a pod failed.
 */
export interface PodFailure {
  reason: BlockReason;
  /**
   * Why, in a sentence.
   */
  message: string;
}
/**
 * How far a block has come, over all its shards.
 */
export interface Progress {
  /**
   * Units of work that are done.
   */
  done: number;
  /**
   * Units of work that there are.
   */
  total: number;
}
/**
 * A gate: `decision`, `decidedBy` and `note` are a person's to patch, all else is the operator's.
 */
export interface GateStatus {
  state: GateState;
  /**
   * When the block succeeded and the gate began to wait.
   */
  openedAt: string;
  /**
   * When the operator took the decision, or the time ran out.
   */
  closedAt?: string | null;
  /**
   * `sha256:` of the block's artifacts; a decision that restates it is bound to what was seen.
   */
  previewDigest?: string | null;
  /**
   * Approved or Rejected: patched by an approver while the gate waits, then final.
   */
  decision?: GateDecision | null;
  /**
   * Who decided: must be the user that patches.
   */
  decidedBy?: string | null;
  /**
   * What the approver wants to be remembered.
   */
  note?: string | null;
}
/**
 * A Kubernetes condition.
 */
export interface Condition {
  type: ConditionType;
  /**
   * True, False or Unknown.
   */
  status: string;
  /**
   * Why, in one word.
   */
  reason: string;
  /**
   * Why, in a sentence.
   */
  message: string;
  /**
   * When `status` last changed.
   */
  lastTransitionTime: string;
  /**
   * The spec's generation that this speaks of.
   */
  observedGeneration: number;
}
/**
 * A dependency between two blocks.
 */
export interface Edge {
  /**
   * The block that must succeed first.
   */
  source: string;
  /**
   * The block that waits for it.
   */
  target: string;
}
/**
 * What the viewer may do with this run.
 */
export interface Permissions {
  /**
   * Decide its gates.
   */
  approve: boolean;
  /**
   * Pause, resume and cancel it.
   */
  edit: boolean;
  /**
   * Which right is missing, where one is.
   */
  explanation?: string | null;
  /**
   * The kubectl line by which an administrator gives the right to decide.
   */
  approveGrant?: string | null;
  /**
   * The kubectl line by which an administrator gives the right to pause, resume and cancel.
   */
  editGrant?: string | null;
}
/**
 * `POST api/runs/{namespace}/{name}/gates/{block}`.
 */
export interface GateRequest {
  /**
   * The run that was looked at; another run of the same name is left alone.
   */
  uid: string;
  decision: GateDecision;
  /**
   * What is to be remembered.
   */
  note?: string | null;
  /**
   * The gate's digest as it was shown; the decision holds for nothing else.
   */
  previewDigest?: string | null;
}
/**
 * `POST api/runs/{namespace}/{name}/control`.
 */
export interface ControlRequest {
  /**
   * The run that was looked at.
   */
  uid: string;
  action: ControlAction;
}
/**
 * `GET api/metrics`.
 */
export interface MetricList {
  /**
   * By run: how far this reaches.
   */
  cursors: {
    [k: string]: string;
  };
  /**
   * Ordered by name, block and labels.
   */
  metrics: MetricEntry[];
  /**
   * What is missing and why.
   */
  notices: string[];
}
/**
 * A series that there is.
 */
export interface MetricEntry {
  /**
   * The run's UID.
   */
  run: string;
  /**
   * The block.
   */
  block: string;
  /**
   * The metric.
   */
  name: string;
  /**
   * What tells the series of a metric apart; never `step`.
   */
  labels: {
    [k: string]: string | number;
  };
  /**
   * Names the series within the run, for `GET api/series?series=`.
   */
  series: string;
  /**
   * Points that there are.
   */
  count: number;
  last: Point;
}
/**
 * A point of a series, with where it comes from.
 */
export interface Point {
  /**
   * The value.
   */
  value: number | string;
  /**
   * The x axis.
   */
  step: number;
  /**
   * When it was published.
   */
  time: string;
  /**
   * The block.
   */
  block: string;
  /**
   * The series' labels.
   */
  labels: {
    [k: string]: string | number;
  };
}
/**
 * `GET api/series`.
 */
export interface SeriesList {
  /**
   * By run: how far this reaches.
   */
  cursors: {
    [k: string]: string;
  };
  /**
   * Ordered by name, run, block and labels.
   */
  series: Series[];
  /**
   * What is missing and why.
   */
  notices: string[];
}
/**
 * One line: columns of equal length, ordered by the x axis that was asked for.
 */
export interface Series {
  /**
   * The run's UID.
   */
  run: string;
  /**
   * The block.
   */
  block: string;
  /**
   * The metric.
   */
  name: string;
  /**
   * The series' labels.
   */
  labels: {
    [k: string]: string | number;
  };
  /**
   * Names the series within the run.
   */
  series: string;
  /**
   * Points in the asked range.
   */
  total: number;
  /**
   * Points in the columns; fewer than `total` where they are the smallest and largest of each bucket.
   */
  shown: number;
  /**
   * How many of `total` are not finite.
   */
  nonFinite: number;
  /**
   * How many of `total` are finite and not above 0.
   */
  hiddenOnLog: number;
  /**
   * Milliseconds since the epoch of the series' first point of all: where relative time counts from.
   */
  start?: number | null;
  /**
   * Steps.
   */
  steps: number[];
  /**
   * Milliseconds since the epoch.
   */
  times: number[];
  /**
   * Values; null where not finite.
   */
  values: (number | null)[];
  /**
   * The smoothed line at the same places, made from all points; null without smoothing.
   */
  smoothed?: (number | null)[] | null;
  /**
   * The shown points that are not finite.
   */
  nonFinitePoints: NonFinite[];
}
/**
 * A point that has no place on the y axis.
 */
export interface NonFinite {
  /**
   * Its place in the columns, where `values` holds null.
   */
  index: number;
  value: Value;
}
/**
 * `GET api/statistics`.
 */
export interface StatisticsList {
  /**
   * By run: how far this reaches.
   */
  cursors: {
    [k: string]: string;
  };
  /**
   * Ordered by name and run.
   */
  statistics: Statistics[];
  /**
   * What is missing and why.
   */
  notices: string[];
}
/**
 * A metric of a run in figures, over all of its points.
 */
export interface Statistics {
  /**
   * The run's UID.
   */
  run: string;
  /**
   * The metric.
   */
  name: string;
  /**
   * Points that there are, the non-finite ones included.
   */
  count: number;
  /**
   * Points that no figure but `last` takes into account.
   */
  nonFinite: number;
  /**
   * The smallest finite point, the earliest of equals; null where none is finite.
   */
  min?: Point | null;
  /**
   * The largest finite point, the earliest of equals.
   */
  max?: Point | null;
  /**
   * Of the finite points.
   */
  mean?: number | null;
  last: Point;
  /**
   * The last 5 values in the order of their time, for the trend.
   */
  recent: (number | null)[];
  /**
   * The last 100 values in the order of their time.
   */
  sparkline: (number | null)[];
  /**
   * The median time between the last 100 points: what makes a silence a long one.
   */
  intervalSeconds?: number | null;
}
/**
 * `GET api/artifacts`.
 */
export interface ArtifactList {
  /**
   * By run: how far this reaches.
   */
  cursors: {
    [k: string]: string;
  };
  /**
   * Oldest first; those that a later attempt wrote again are left out.
   */
  artifacts: ArtifactEntry[];
  /**
   * How many match the filter, of which `artifacts` is a page.
   */
  total: number;
  /**
   * Over all artifacts of the runs, whatever the filter.
   */
  facets: Facet[];
  /**
   * What is missing and why.
   */
  notices: string[];
}
/**
 * An artifact that may be fetched.
 */
export interface ArtifactEntry {
  /**
   * The run's UID.
   */
  run: string;
  /**
   * The block that wrote it.
   */
  block: string;
  /**
   * The block's attempt.
   */
  attempt: number;
  /**
   * Which of the block's pods.
   */
  shard: number;
  /**
   * Opaque.
   */
  id: string;
  /**
   * For example `generated_sample`.
   */
  schemaType: string;
  /**
   * As the worker said; what is served says what the bytes are.
   */
  contentType: string;
  /**
   * The name that a download gets.
   */
  fileName: string;
  /**
   * For example `{"phase": "preview", "sample_index": "0"}`.
   */
  tags: {
    [k: string]: string;
  };
  /**
   * Of the file's bytes.
   */
  sha256: string;
  /**
   * Bytes.
   */
  size: number;
  /**
   * Pixels.
   */
  width?: number | null;
  /**
   * Pixels.
   */
  height?: number | null;
  /**
   * When it was announced; null where only the manifest tells of it.
   */
  time?: string | null;
  /**
   * The bytes, relative to the API's root.
   */
  url: string;
  /**
   * A WebP thumbnail, relative to the API's root; null where it is no image. Add `&size=` for another size.
   */
  thumbnailUrl?: string | null;
}
/**
 * A value that can be filtered by, with the number of artifacts that have it.
 */
export interface Facet {
  /**
   * `schemaType`, `block`, or a tag's key.
   */
  key: string;
  /**
   * The value.
   */
  value: string;
  /**
   * Artifacts that have it, over the runs asked for.
   */
  count: number;
}
/**
 * Message `cursor`: the first of a stream. Everything after these positions follows.
 */
export interface StreamCursor {
  type: "cursor";
  /**
   * By run.
   */
  cursors: {
    [k: string]: string;
  };
  /**
   * False while events come late because Redis does not answer.
   */
  live: boolean;
}
/**
 * Message `event`: something a worker published, exactly once.
 */
export interface StreamEvent {
  type: "event";
  /**
   * The run's UID.
   */
  run: string;
  /**
   * The event's position: a snapshot whose cursor is not before it already holds it.
   */
  cursor: string;
  event: Event;
  /**
   * With `artifact_written`: as in the list.
   */
  artifact?: ArtifactEntry | null;
}
/**
 * The envelope.
 */
export interface Event {
  /**
   * A reader ignores versions that it does not know.
   */
  schemaVersion: number;
  run: RunRef;
  /**
   * The block's name.
   */
  block: string;
  /**
   * The block's attempt; a newer one supersedes the points of older ones.
   */
  attempt: number;
  /**
   * Which of the block's pods.
   */
  shard: number;
  /**
   * How often this shard had failed before, ignored failures included.
   */
  retry: number;
  /**
   * The pod's UID.
   */
  pod: string;
  /**
   * Counts the pod's events from 0.
   */
  seq: number;
  /**
   * When it happened, UTC.
   */
  time: string;
  /**
   * What happened.
   */
  body: BlockStarted | Metric | ArtifactWritten | ProgressMade | Paused | Resumed | BlockFinished;
}
/**
 * Which run.
 */
export interface RunRef {
  /**
   * The run's namespace; `local` without a cluster.
   */
  namespace: string;
  /**
   * The run's name.
   */
  name: string;
  /**
   * The run's UID: what tells a run from its namesake.
   */
  uid: string;
}
/**
 * A pod has begun its block.
 */
export interface BlockStarted {
  type: "block_started";
  /**
   * The block type.
   */
  blockType: string;
  /**
   * `cpu` or `cuda:N`.
   */
  device: string;
  /**
   * Versions of what computes: python, torch, diffusers, diffrun.
   */
  versions: {
    [k: string]: string;
  };
}
/**
 * Points that a pod measured, batched.
 */
export interface Metric {
  type: "metric";
  /**
   * In the order in which they were measured.
   *
   * @minItems 1
   */
  points: MetricPoint[];
}
/**
 * One value of one series.
 */
export interface MetricPoint {
  /**
   * For example `denoise/snr`.
   */
  name: string;
  /**
   * The value.
   */
  value: number | string;
  /**
   * The x axis.
   */
  step: number;
  /**
   * What tells series of one metric apart; `step` is repeated here where a document asks for it as a label.
   */
  labels: {
    [k: string]: string | number;
  };
}
/**
 * An artifact is durable and may be read.
 */
export interface ArtifactWritten {
  type: "artifact_written";
  artifact: Artifact;
}
/**
 * A file that a block wrote. Its bytes never change once it is announced.
 */
export interface Artifact {
  /**
   * Opaque, unique over all runs.
   */
  id: string;
  /**
   * Relative to the workspace.
   */
  path: string;
  /**
   * What it is, for example `generated_sample`.
   */
  schemaType: string;
  /**
   * For example `image/png`.
   */
  contentType: string;
  /**
   * For example `{"phase": "preview", "sample_index": "0"}`.
   */
  tags: {
    [k: string]: string;
  };
  /**
   * Of the file's bytes.
   */
  sha256: string;
  /**
   * Bytes.
   */
  size: number;
  /**
   * Pixels, of an image.
   */
  width?: number | null;
  /**
   * Pixels, of an image.
   */
  height?: number | null;
}
/**
 * How far a pod has come.
 */
export interface ProgressMade {
  type: "progress";
  /**
   * Units of work done by this shard.
   */
  done: number;
  /**
   * Units of work of this shard.
   */
  total: number;
}
/**
 * The pod holds between two steps.
 */
export interface Paused {
  type: "paused";
}
/**
 * The pod goes on.
 */
export interface Resumed {
  type: "resumed";
  /**
   * How long it held.
   */
  heldSeconds: number;
}
/**
 * The pod is done, one way or the other.
 */
export interface BlockFinished {
  type: "block_finished";
  /**
   * Whether the block's work is complete.
   */
  succeeded: boolean;
  /**
   * The block's outputs.
   */
  outputs: {
    [k: string]: string | number | boolean;
  };
  /**
   * Why it failed.
   */
  error?: ErrorInfo | null;
  /**
   * Metric points that Redis did not get.
   */
  droppedMetrics: number;
}
/**
 * Why a block failed.
 */
export interface ErrorInfo {
  /**
   * A stable word, for example `ChecksumMismatch`.
   */
  code: string;
  /**
   * What is wrong and what to do about it.
   */
  message: string;
  /**
   * Whether the same task may succeed if it is tried again.
   */
  retryable: boolean;
}
/**
 * Message `status`: the run's object as it is now; at the start and at every change.
 */
export interface StreamStatus {
  type: "status";
  detail: RunDetail;
}
/**
 * Message `reset`: what was fetched is stale. Fetch it again; the stream goes on from `cursors`.
 */
export interface StreamReset {
  type: "reset";
  /**
   * The run's UID.
   */
  run: string;
  reason: Reason;
  /**
   * By run: the positions from which the stream goes on.
   */
  cursors: {
    [k: string]: string;
  };
}
/**
 * Message `live`: whether events arrive as they are published.
 */
export interface StreamLive {
  type: "live";
  /**
   * False while Redis does not answer.
   */
  live: boolean;
}
/**
 * Message `heartbeat`: nothing happened, and the connection holds.
 */
export interface StreamHeartbeat {
  type: "heartbeat";
  /**
   * The gateway's clock.
   */
  time: string;
}
/**
 * Message `end`: all runs are over and everything has been sent. Do not reconnect.
 */
export interface StreamEnd {
  type: "end";
  /**
   * By run: the last positions.
   */
  cursors: {
    [k: string]: string;
  };
}
/**
 * Message `denied`: the viewer may no longer look. Do not reconnect before signing in again.
 */
export interface StreamDenied {
  type: "denied";
  problem: Problem;
}
/**
 * Message `runs` of `GET api/runs/events`: the whole list; first, and where its problems have changed.
 */
export interface RunsSnapshot {
  type: "runs";
  list: RunList;
}
/**
 * Message `run` of `GET api/runs/events`: a run is new or has changed.
 */
export interface RunChanged {
  type: "run";
  entry: RunEntry;
}
/**
 * Message `gone` of `GET api/runs/events`: a run is no longer there, not even its files.
 */
export interface RunGone {
  type: "gone";
  /**
   * The run's UID.
   */
  uid: string;
}
